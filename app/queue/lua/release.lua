-- Gives a job back without charging an attempt; it keeps its rank. A step of `turn`.
--
-- detail  JSON: delay_ms (above 0: scheduled that far from now), error (the reason, or "")
-- Returns "ok", "repeat" or "lost".

local function release(now, id, token, _, detail, head_start_ms)
  local record, verdict = judge(id, token)
  if verdict ~= "ok" then
    return verdict == "repeat" and "repeat" or "lost"
  end
  local asked = cjson.decode(detail)
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
