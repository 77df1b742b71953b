-- Stops handing out jobs. What workers hold goes on.
--
-- Returns 1 when the queue was running, 0 when it was paused already.

local function pause(_)
  local was_running = redis.call("HGET", META, "paused") ~= "1"
  redis.call("HSET", META, "paused", "1")
  redis.call("HINCRBY", META, "revision", 1)
  return was_running and 1 or 0
end
