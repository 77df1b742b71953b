-- Starts an operation: a record of what is to be done to which jobs. `operate` does it.
--
-- ARGV  nonce, action (retry, cancel, delete), the filter as people gave it (JSON), the conditions
--       (JSON, see `next_jobs`), who started it, how many jobs match now, for how many shards it
--       is, and the id that another of them gave it, or ""
-- Returns its id.

local function start_operation(argv)
  local nonce, action, query, conditions, by, total, parts, given_id = unpack(argv)
  local earlier = earlier_answer(nonce)
  if earlier then
    return earlier
  end
  if given_id ~= "" and redis.call("EXISTS", PREFIX .. "Operation:" .. given_id) == 1 then
    return given_id
  end
  local operations = PREFIX .. "Operations"
  for _, old in ipairs(redis.call("ZRANGE", operations, 0, 99)) do
    if redis.call("EXISTS", PREFIX .. "Operation:" .. old) == 0 then
      redis.call("ZREM", operations, old)
    end
  end

  local now = now_ms()
  local id, counter = given_id, PREFIX .. "operation:id:counter"
  if id == "" then
    id = integer(redis.call("INCR", counter))
  else
    -- Nobody takes one here, but `repair` looks in every shard whether an id could be given twice.
    local last_id = tonumber(redis.call("GET", counter) or 0) or 0
    redis.call("SET", counter, integer(math.max(last_id, tonumber(id))))
  end
  redis.call(
    "HSET", PREFIX .. "Operation:" .. id,
    "action", action, "query", query, "conditions", conditions, "by", by, "total", total,
    "parts", parts,
    "status", "running", "done", 0, "skipped", 0, "created_at", integer(now),
    "last_id", redis.call("GET", PREFIX .. "query:id:counter") or "0", "cursor", "")
  redis.call("ZADD", operations, integer(now), id)
  redis.call("ZADD", operations .. ":running", id, id)
  redis.call("HINCRBY", META, "revision", 1)
  wake_due()
  remember_answer(nonce, id)
  return id
end
