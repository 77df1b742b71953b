-- Makes a failed, given-up or cancelled job pending now, whatever its attempts so far.
--
-- ARGV  nonce, id, head start ms
-- Returns "ok", "missing", or the status that forbids it.

local function retry(argv)
  local nonce, id, head_start_ms = argv[1], argv[2], tonumber(argv[3])
  local earlier = earlier_answer(nonce)
  if earlier then
    return earlier
  end
  local record = load_one(id)
  if not record then
    return "missing"
  end
  local now = now_ms()
  local answer = retry_job(record, now, head_start_ms)
  if answer == "ok" then
    flush(now)
    wake()
    remember_answer(nonce, "ok")
  end
  return answer
end
