-- Cancels a job that waits; asks the worker that holds it when it is processing.
--
-- ARGV  nonce, id
-- Returns "ok", "requested", "missing", or the status that forbids it.

local CANCELLABLE = { scheduled = true, pending = true, failed = true }

local function cancel(argv)
  local nonce, id = argv[1], argv[2]
  local earlier = earlier_answer(nonce)
  if earlier then
    return earlier
  end
  local record = load_one(id)
  if not record then
    return "missing"
  end
  local now = now_ms()
  if record.status == "processing" then
    record.cancel_requested = true
    save(record)
    flush(now)
    return "requested"
  end
  if not CANCELLABLE[record.status] then
    return record.status
  end
  leave(record)
  make_final(record, "cancelled", now)
  count("cancelled", record.job_type)
  flush(now)
  remember_answer(nonce, "ok")
  return "ok"
end
