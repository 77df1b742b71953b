-- Makes a failed, given-up or cancelled job pending now. A part of `retry` and `operate`.
--
-- Takes its record, the time, head start ms
-- Returns "ok", or the status that forbids it.

local RETRYABLE = { failed = true, permanently_failed = true, cancelled = true }

local function retry_job(record, now, head_start_ms)
  if not RETRYABLE[record.status] then
    return record.status
  end
  leave(record)
  record.run_at, record.completed_at, record.cancel_requested = nil, nil, nil
  -- A word of an earlier lease must not end the new attempt.
  record.last_token, record.reaped_token = nil, nil
  -- Whoever retries it has decided that it may be done twice.
  record.unconfirmed = nil
  record.ready_at = now
  make_pending(record, head_start_ms)
  count("retried", record.job_type)
  return "ok"
end
