-- The ids at some ranks of a group, without walking to them. A part of `page`.
--
-- Takes a group, and the first rank and the one after the last, counted upwards from 0
-- Returns ids in rising order of score, equal scores in order of ids (a set orders them as text).
local function window(group, first, last)
  local from, to = search(group, first, last)

  local ids, scores = {}, {}
  for i, key in ipairs(group.keys) do
    local low, high = from.of[i], to.of[i] - 1
    if low <= high and group.timed then
      local found = redis.call("ZRANGE", key, low, high, "WITHSCORES")
      for j = 1, #found, 2 do
        local id = tonumber(found[j])
        ids[#ids + 1] = id
        scores[id] = tonumber(found[j + 1])
      end
    elseif low <= high then
      for _, id in ipairs(redis.call("ZRANGE", key, low, high)) do
        ids[#ids + 1] = tonumber(id)
      end
    end
  end

  if group.timed then
    table.sort(ids, function(a, b)
      local score_a, score_b = scores[a], scores[b]
      if score_a ~= score_b then
        return score_a < score_b
      end
      return a < b
    end)
  else
    table.sort(ids)
  end

  local skipped, wanted = first - from.below, {}
  for i = 1, last - first do
    wanted[i] = ids[skipped + i]
  end
  return wanted
end
