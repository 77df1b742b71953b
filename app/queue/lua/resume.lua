-- Hands out jobs again.
--
-- Returns 1 when the queue was paused, 0 when it was running already.

local function resume(_)
  local was_paused = redis.call("HDEL", META, "paused")
  redis.call("HINCRBY", META, "revision", 1)
  wake()
  return was_paused
end
