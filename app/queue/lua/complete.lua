-- Ends a job as `success`. A step of `turn`.
--
-- Accepted from the lease's holder, and late: when the lease was reaped but nobody has begun since.
-- Returns "ok", "repeat", "late" or "lost".

local function complete(now, id, token, result)
  local record, verdict = judge(id, token)
  if verdict == "lost" then
    count("lost", record and record.job_type or "-")
  end
  if verdict == "late" then
    count("late", record.job_type)
    record.token = token
  end
  if verdict == "ok" or verdict == "late" then
    local text = record.head and succeeded_text(record, now, result)
    leave(record)
    end_lease(record)
    record.reaped_token, record.unconfirmed = nil, nil
    record.result = result ~= "" and result or nil
    make_final(record, "success", now, text)
    count("succeeded", record.job_type)
    measure("run", now - record.picked_at)
  end
  return verdict
end
