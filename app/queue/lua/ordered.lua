-- The groups of an order over several shards. A part of `slice` and `ranks`.
--
-- ARGV  status, job type, priority ("" for any); "tag", "find" or "" (what leads to the jobs: see
--       `entries`), its name; sort; "1" for descending; more that is the caller's
-- Returns a list of groups as `groups` makes it. Those of a person's or tag's jobs are one group, by
-- id; a person's has no sets, but { value, size, entries, first }: how its entries of `Find` begin,
-- and how many entries come before them.
local function ordered(argv)
  local source, name, sort, descending = argv[4], argv[5], argv[6], argv[7] == "1"
  if source == "tag" then
    local key = PREFIX .. "Tag:" .. name
    local size = redis.call("ZCARD", key)
    return { { value = 0, size = size, keys = { key }, sizes = { size }, statuses = { "" } } }
  elseif source == "find" then
    local first = redis.call("ZLEXCOUNT", FIND, "-", "(" .. name)
    local size = redis.call("ZLEXCOUNT", FIND, "[" .. name, "(" .. name .. "\255")
    return { { value = 0, size = size, entries = name, first = first } }
  end
  return groups(argv[1], argv[2], argv[3], sort, descending)
end
