-- Gives a job back without charging an attempt; it keeps its rank. A step of `turn`.
--
-- detail  JSON: delay_ms (above 0: scheduled that far from now), error (the reason, or ""), began
--         (it was running: what it did by then may be done twice)
-- Returns "ok", "repeat" or "lost".

local function release(now, id, token, _, detail, head_start_ms)
  local record, verdict = judge(id, token)
  local asked = cjson.decode(detail)
  if verdict == "repeat" then
    return "repeat"
  elseif verdict ~= "ok" then
    if asked.began then
      count("lost", record and record.job_type or "-")
    end
    return "lost"
  end
  leave(record)
  note_attempt(record, now, "released", asked.error)
  end_lease(record)
  count("released", record.job_type)
  if record.cancel_requested then
    make_final(record, "cancelled", now)
    count("cancelled", record.job_type)
  elseif asked.delay_ms > 0 then
    make_wait(record, "scheduled", now + asked.delay_ms)
  else
    make_pending(record, head_start_ms)
    wake()
  end
  return "ok"
end
