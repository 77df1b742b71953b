-- The next jobs of a filter, newest first, not yet put in order: Redis does nothing else meanwhile,
-- and the caller sorts faster.
--
-- ARGV  status, job type, priority ("" for any); the id they are under ("" at the start); about how
--       many
-- Returns ids as text with spaces in between, and the last one that counts: those under it come
-- again in the next call. 0 when there are no more.
local function newest(argv)
  local ids, horizon = shares(argv[1], argv[2], argv[3], argv[4], tonumber(argv[5]))
  return { table.concat(ids, " "), integer(horizon) }
end
