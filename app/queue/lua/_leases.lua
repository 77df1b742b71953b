-- Attempts and leases, and calls that were sent before.

-- Adds a line to the job's history. A success has none: the record says all of it.
local function note_attempt(record, now, outcome, error_text, smtp_code)
  local id = IDS[record]
  local line = cjson.encode({
    n = record.attempts,
    start = record.picked_at,
    ["end"] = now,
    worker = record.worker,
    outcome = outcome,
    error = error_text,
    code = smtp_code,
  })
  local history = redis.call("HGET", JOB_ATTEMPTS, id)
  history = history and (history .. "\n" .. line) or line
  if #history > ATTEMPTS_MAX_BYTES then
    history = string.gsub(string.sub(history, -ATTEMPTS_MAX_BYTES), "^[^\n]*\n", "", 1)
  end
  redis.call("HSET", JOB_ATTEMPTS, id, history)
end

-- The lease is over: its token has spoken, and is kept only to recognise the same word twice.
local function end_lease(record)
  record.last_token = record.token
  record.token, record.sending, record.begun = nil, nil, nil
end

-- Whose word is this outcome? Returns the record and
-- "ok" (the holder's), "repeat" (already counted), "late" (the lease ran out, but nobody has begun
-- since), or "lost".
local function judge(id, token)
  local record = RECORDS[id]
  if not record then
    return nil, "lost"
  end
  if record.status == "processing" and record.token == token then
    return record, "ok"
  end
  if record.last_token == token then
    return record, "repeat"
  end
  if record.reaped_token == token and record.status == "pending" then
    return record, "late"
  end
  return record, "lost"
end

-- What a call with this nonce answered before, or nil.
local function earlier_answer(nonce)
  return redis.call("GET", PREFIX .. "Call:" .. nonce) or nil
end

local function remember_answer(nonce, answer, memory_ms)
  redis.call("SET", PREFIX .. "Call:" .. nonce, answer, "PX", memory_ms or CALL_MEMORY_MS)
end

-- True when nobody has promoted for so long that a main worker should.
local function housekeeping_due(now, lease_ms, promoted_at)
  return now - (tonumber(promoted_at or 0) or 0) > math.min(10000, lease_ms / 4)
end
