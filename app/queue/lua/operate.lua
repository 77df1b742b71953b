-- Does the next chunk of an operation, one after the other of those that run.
--
-- The jobs and how far it is are written at once: a call that is sent again does the next chunk,
-- and several callers share the work.
--
-- ARGV  limit, head start ms, for how many seconds to keep a finished operation
-- Returns how many operations still run.

local function operate(argv)
  local limit, head_start_ms, retention_s = tonumber(argv[1]), tonumber(argv[2]), argv[3]
  local running = PREFIX .. "Operations:running"
  local latest = redis.call("HGET", META, "operated") or "0"
  local id = redis.call("ZRANGEBYSCORE", running, "(" .. latest, "+inf", "LIMIT", 0, 1)[1]
    or redis.call("ZRANGE", running, 0, 0)[1]
  if not id then
    return 0
  end
  redis.call("HSET", META, "operated", id)

  local key = PREFIX .. "Operation:" .. id
  local action, conditions, last_id, cursor =
    unpack(redis.call("HMGET", key, "action", "conditions", "last_id", "cursor"))
  local now = now_ms()
  local act = { retry = retry_job, cancel = cancel_job, delete = delete_job }
  local records, next_cursor = {}, nil
  if action then
    records, next_cursor = next_jobs(cjson.decode(conditions), tonumber(last_id), cursor, limit)
  end

  local done, skipped = 0, 0
  for _, record in ipairs(records) do
    local answer = act[action](record, now, head_start_ms)
    if answer == "ok" or answer == "requested" then
      done = done + 1
    else
      skipped = skipped + 1
    end
  end
  flush(now)
  if action == "retry" and done > 0 then
    wake()
  end

  if action then
    redis.call("HINCRBY", key, "done", done)
    redis.call("HINCRBY", key, "skipped", skipped)
  end
  if next_cursor then
    redis.call("HSET", key, "cursor", next_cursor)
  else
    redis.call("ZREM", running, id)
    if action then
      redis.call("HSET", key, "status", "done", "finished_at", integer(now))
      redis.call("EXPIRE", key, retention_s)
    end
  end
  redis.call("HINCRBY", META, "revision", 1)
  return redis.call("ZCARD", running)
end
