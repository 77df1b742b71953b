-- Cancels a job that waits; asks the worker that holds it when it is processing.
--
-- ARGV  nonce, id
-- Returns "ok", "requested", "missing", or the status that forbids it.

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
  local answer = cancel_job(record, now)
  flush(now)
  if answer == "ok" then
    remember_answer(nonce, "ok")
  end
  return answer
end
