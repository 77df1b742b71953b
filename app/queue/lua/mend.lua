-- What `repair` says and writes. A dry run says the same and leaves the writes out.
-- A part of `repair`.
--
-- Takes a Redis command, as `redis.call` does.

local DRY = false
local SAID = {}

local function say(line)
  SAID[#SAID + 1] = line
end

local function mend(...)
  if not DRY then
    redis.call(...)
  end
end
