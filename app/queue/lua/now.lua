-- The server's time.
--
-- Returns milliseconds since the epoch as text.
local function now()
  return integer(now_ms())
end
