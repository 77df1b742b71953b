-- A page of all jobs in order of ids, where the ids alone tell who is on it: while no job was ever
-- removed, and near the newest, where few were. A part of `page`.
--
-- Takes whether it descends, the offset, the limit
-- Returns how many jobs there are and the ids on the page (text), or nothing where only the buckets
-- can tell.

local NEWEST = 400 -- so far from the newest job a page may end
local REMOVED = 100 -- and so many may be missing up to there

local function by_ids(descending, offset, limit)
  local total = redis.call("HLEN", JOB_MAP)
  local last_id = tonumber(redis.call("GET", PREFIX .. "query:id:counter") or 0)

  -- As many as ids were given: each id from 1 to the last is a job's.
  if total == last_id then
    local ids = {}
    for rank = offset, math.min(offset + limit, total) - 1 do
      ids[#ids + 1] = integer(descending and last_id - rank or rank + 1)
    end
    return total, ids
  end

  if not descending or offset + limit > NEWEST or last_id == 0 then
    return nil
  end
  local asked, there = {}, {}
  for id = last_id, math.max(1, last_id - offset - limit - REMOVED + 1), -1 do
    asked[#asked + 1] = integer(id)
  end
  for i, record in ipairs(redis.call("HMGET", JOB_MAP, unpack(asked))) do
    if record then
      there[#there + 1] = asked[i]
    end
  end
  if #there < offset + limit then
    return nil
  end
  return total, { unpack(there, offset + 1, offset + limit) }
end
