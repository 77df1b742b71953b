-- Ends an attempt as failed: the job waits for its retry, is given up, or is cancelled.
-- A step of `turn`.
--
-- detail  JSON: error, retry_in_ms (absent: give up), smtp_code, cancelled, unconfirmed (perhaps its
--         work was done: counted)
-- Returns "ok", "repeat" or "lost".

local function fail(now, id, token, result, detail)
  local record, verdict = judge(id, token)
  if verdict ~= "ok" then
    return verdict == "repeat" and "repeat" or "lost"
  end
  local asked = cjson.decode(detail)
  local outcome
  measure("run", now - record.picked_at)
  leave(record)
  if asked.cancelled then
    outcome = "cancelled"
  else
    record.retry_count = record.retry_count + 1
    record.last_error = asked.error
    count("failed", record.job_type)
    if asked.unconfirmed then
      count("unconfirmed", record.job_type)
    end
    if not asked.retry_in_ms then
      outcome = "permanently_failed"
    else
      outcome = record.cancel_requested and "cancelled" or "failed"
    end
  end
  if result ~= "" then
    record.result = result
  end
  note_attempt(record, now, outcome, asked.error, asked.smtp_code)
  end_lease(record)
  if outcome == "failed" then
    make_wait(record, "failed", now + asked.retry_in_ms)
  else
    make_final(record, outcome, now)
    count(outcome, record.job_type)
  end
  return "ok"
end
