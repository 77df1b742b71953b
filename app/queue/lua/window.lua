-- The ids at some ranks of a group, without walking to them. A part of `page` and `slice`.
--
-- Takes a group, and the first rank and the one after the last, counted upwards from 0
-- Returns ids in rising order of score, equal scores in order of ids (a set orders them as text);
-- and, of a scored group, id → score, and id → true for those in a tie out of order.
--
-- A tie of more than TIE_MAX jobs is not put in order of ids: a script that did would stop the
-- server for as long as the tie is large. No verb moves as many jobs at a time. Its jobs go set
-- after set, by name, so that every page cuts the same.

local function window(group, first, last)
  local ids, scores, disorder = {}, {}, {}
  local place = {} -- id → where it was read, set after set

  local by_name = {}
  for i in ipairs(group.keys) do
    by_name[i] = i
  end
  if group.scored then
    table.sort(by_name, function(a, b)
      return group.keys[a] < group.keys[b]
    end)
  end

  local function read(key, low, high)
    if not group.scored then
      for _, id in ipairs(redis.call("ZRANGE", key, low, high)) do
        ids[#ids + 1] = tonumber(id)
      end
      return
    end
    local found = redis.call("ZRANGE", key, low, high, "WITHSCORES")
    for j = 1, #found, 2 do
      local id = tonumber(found[j])
      ids[#ids + 1] = id
      place[id] = #ids
      scores[id] = tonumber(found[j + 1])
    end
  end

  local function in_order(a, b)
    local score_a, score_b = scores[a], scores[b]
    if score_a ~= score_b then
      return score_a < score_b
    end
    return a < b
  end

  local function put_back(from, to)
    local tie = { unpack(ids, from, to) }
    table.sort(tie, function(a, b)
      return place[a] < place[b]
    end)
    for i, id in ipairs(tie) do
      ids[from + i - 1] = id
      disorder[id] = true
    end
  end

  local function sort()
    if not group.scored then
      table.sort(ids)
      return
    end
    table.sort(ids, in_order)
    if #ids <= TIE_MAX then
      return
    end
    local from = 1
    for i = 2, #ids + 1 do
      if scores[ids[i]] ~= scores[ids[from]] then
        if i - from > TIE_MAX then
          put_back(from, i - 1)
        end
        from = i
      end
    end
  end

  local function read_unordered(under, over, skipped, wanted)
    for _, i in ipairs(by_name) do
      local size = over.of[i] - under.of[i]
      local taken = math.min(size - skipped, wanted)
      if taken > 0 then
        read(group.keys[i], under.of[i] + skipped, under.of[i] + skipped + taken - 1)
        wanted = wanted - taken
      end
      skipped = math.max(0, skipped - size)
    end
    for _, id in ipairs(ids) do
      disorder[id] = true
    end
  end

  -- The ids at the ranks `from` to `to`, which lie between two points.
  local answer = {}
  local function take(under, over, from, to)
    ids = {}
    local skipped, wanted = from - under.below, to - from
    if over.below - under.below > wanted + TIE_MAX then
      read_unordered(under, over, skipped, wanted)
      skipped = 0
    else
      for _, i in ipairs(by_name) do
        if under.of[i] < over.of[i] then
          read(group.keys[i], under.of[i], over.of[i] - 1)
        end
      end
      sort()
    end
    for i = 1, wanted do
      answer[#answer + 1] = ids[skipped + i]
    end
  end

  local first_under, first_over, last_under, last_over = search(group, first, last)
  if last_over.below - first_under.below <= last - first + TIE_MAX or first_over == last_over then
    take(first_under, last_over, first, last)
  else
    take(first_under, first_over, first, first_over.below)
    take(first_over, last_under, first_over.below, last_under.below)
    take(last_under, last_over, last_under.below, last)
  end
  return answer, scores, disorder
end
