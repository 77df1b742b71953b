-- The jobs of a filter that follow an id, in order of ids.
--
-- Each bucket gives a share of the ids by its size. Where one gave all of its share, it may have
-- more, and what other buckets gave beyond its last id must wait for the next call.
--
-- ARGV  status, job type, priority ("" for any); the id; limit
-- Returns how many follow here (at most `limit`, 0: there are no more), their records, summaries.
local function walk(argv)
  local after, limit = argv[4], tonumber(argv[5])
  local names, sizes, total = {}, {}, 0
  buckets(argv[1], argv[2], argv[3], function(name, size)
    names[#names + 1] = name
    sizes[name] = size
    total = total + size
  end)

  local ids, horizon = {}, math.huge
  for _, name in ipairs(names) do
    local share = math.ceil(1.5 * limit * sizes[name] / total) + 2
    local found = redis.call(
      "ZRANGEBYSCORE", PREFIX .. "Index:" .. name, "(" .. after, "+inf", "LIMIT", 0, share)
    for _, id in ipairs(found) do
      ids[#ids + 1] = tonumber(id)
    end
    if #found == share then
      horizon = math.min(horizon, tonumber(found[#found]))
    end
  end
  table.sort(ids)

  local near = {}
  for _, id in ipairs(ids) do
    if id > horizon or #near == limit then
      break
    end
    near[#near + 1] = integer(id)
  end
  return rows(#near, near, false)
end
