-- Makes a failed, given-up or cancelled job pending now, whatever its attempts so far.
--
-- ARGV  nonce, id, head start ms
-- Returns "ok", "missing", or the status that forbids it.

local RETRYABLE = { failed = true, permanently_failed = true, cancelled = true }

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
  if not RETRYABLE[record.status] then
    return record.status
  end
  local now = now_ms()
  leave(record)
  record.run_at, record.completed_at, record.cancel_requested = nil, nil, nil
  -- A word of an earlier lease must not end the new attempt.
  record.last_token, record.reaped_token = nil, nil
  record.ready_at = now
  make_pending(record, head_start_ms)
  count("retried", record.job_type)
  flush(now)
  wake()
  remember_answer(nonce, "ok")
  return "ok"
end
