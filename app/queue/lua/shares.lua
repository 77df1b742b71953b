-- The newest ids under an id, of each bucket of a filter a share by its size. A part of `operate`
-- and `newest`.
--
-- Takes status, job type, priority ("" for any), the id ("" for none), about how many ids
-- Returns ids (text, bucket after bucket), and the horizon: a bucket that gave all of its share may
-- have more, so ids under its last one must wait for the next call. 0 when there are no more.
local function shares(status, job_type, priority, under, limit)
  local names, sizes, total = {}, {}, 0
  buckets(status, job_type, priority, function(name, size)
    names[#names + 1] = name
    sizes[name] = size
    total = total + size
  end)
  local below = under == "" and "+inf" or "(" .. under
  local ids, horizon = {}, 0
  for _, name in ipairs(names) do
    local share = math.ceil(1.5 * limit * sizes[name] / total) + 2
    local found = redis.call(
      "ZREVRANGEBYSCORE", PREFIX .. "Index:" .. name, below, "-inf", "LIMIT", 0, share)
    for i = 1, #found do
      ids[#ids + 1] = found[i]
    end
    if #found == share then
      horizon = math.max(horizon, tonumber(found[share]))
    end
  end
  return ids, horizon
end
