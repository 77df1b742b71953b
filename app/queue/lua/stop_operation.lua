-- Stops an operation. Chunks are whole, so nothing is half done.
--
-- ARGV  id, for how many seconds to keep it
-- Returns 1, or 0 when there is none with this id.

local function stop_operation(argv)
  local id, retention_s = argv[1], argv[2]
  local key = PREFIX .. "Operation:" .. id
  local status = redis.call("HGET", key, "status")
  if status == "running" then
    redis.call("HSET", key, "status", "stopped", "finished_at", integer(now_ms()))
    redis.call("EXPIRE", key, retention_s)
    redis.call("ZREM", PREFIX .. "Operations:running", id)
    redis.call("HINCRBY", META, "revision", 1)
  end
  return status and 1 or 0
end
