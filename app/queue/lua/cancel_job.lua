-- Cancels a job that waits; asks the worker that holds it when it is processing.
-- A part of `cancel` and `operate`.
--
-- Takes its record, the time
-- Returns "ok", "requested", or the status that forbids it.

local CANCELLABLE = { scheduled = true, pending = true, failed = true }

local function cancel_job(record, now)
  if record.status == "processing" then
    record.cancel_requested = true
    save(record)
    return "requested"
  end
  if not CANCELLABLE[record.status] then
    return record.status
  end
  leave(record)
  make_final(record, "cancelled", now)
  count("cancelled", record.job_type)
  return "ok"
end
