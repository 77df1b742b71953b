-- Some ranks of one shard in the order of a sort: where they would stand among other shards' jobs.
--
-- ARGV  as `ordered` takes them; the first rank and the one after the last, at most 1,000 of them.
--       Where a value, an id and "1" or "0" follow, as `before` takes them, the two count from the
--       rank at which that would stand
-- Returns how many jobs there are, the first rank that is answered (beyond the end: that of the last
-- job), and for each group a list of texts. Either, of a scored group, "" and then ids and scores in
-- turn. Or the value that all of the jobs are sorted by; their ids; their values, where each has its
-- own (by time of creation, ids and times of some of them); and "1" for each that stands in a tie out of order (see `window`), else "0", or "". These are
-- in order only where there is such a tie: else the caller sorts faster. Some jobs around are shown
-- too. Last, how many jobs come before what is counted from (0 without it).

local CREATED_STRIDE = 16

local function slice(argv)
  local sort, descending = argv[6], argv[7] == "1"
  local first, last = tonumber(argv[8]), tonumber(argv[9])
  local timed_value = timed_values(descending)
  local is_timed = sort == "picked_at" or sort == "completed_at"

  local all, total = ordered(argv), 0
  for _, group in ipairs(all) do
    total = total + group.size
  end
  local from_rank = 0
  if argv[10] then
    from_rank = before(argv, all)(argv[10], tonumber(argv[11]), argv[12] == "1")
    first, last = from_rank + first, from_rank + last
  end
  first = math.max(0, math.min(first, total - 1))

  local function ids_of(group, from, to)
    if not group.entries then
      return window(group, from, to)
    end
    local ids = {}
    local found = redis.call("ZRANGE", FIND, group.first + from, group.first + to - 1)
    for i, entry in ipairs(found) do
      ids[i] = tonumber(string.sub(entry, -12), 16)
    end
    return ids, {}, {}
  end

  -- Ids and their times of creation in turn, of some jobs. Records are dear to read, and in between
  -- times rise with the ids.
  local function created(ids)
    local rising, some, answer = {}, {}, {}
    for i, id in ipairs(ids) do
      rising[i] = tonumber(id)
    end
    table.sort(rising)
    for i = 1, #rising, CREATED_STRIDE do
      some[#some + 1] = integer(rising[i])
    end
    some[#some + 1] = integer(rising[#rising])
    for i, text in ipairs(redis.call("HMGET", JOB_MAP, unpack(some))) do
      local _, at = string.find(text or "", '"created_at":', 1, true) -- faster than a pattern
      if at then
        answer[#answer + 1] = some[i]
        answer[#answer + 1] = string.match(string.sub(text, at + 1, at + 16), "^%d+")
      end
    end
    return table.concat(answer, " ")
  end

  -- What all jobs of a group have, or nothing.
  local function value_of(group)
    if is_timed or sort == "id" or sort == "created_at" then
      return ""
    end
    return tostring(group.value)
  end

  local function answer(group, from, to)
    -- A rank counts from the page's end of a group; `window` counts upwards.
    local low, high = from, to
    if descending then
      low, high = group.size - to, group.size - from
    end
    if not group.entries then
      local found, below, below_end = around(group, low, high)
      local shown_from = found and (descending and group.size - below_end or below)
      if found and group.scored then
        return { "", table.concat(found, " ") }, shown_from
      elseif found then
        local values = sort == "created_at" and created(found) or ""
        return { value_of(group), table.concat(found, " "), values, "" }, shown_from
      end
    end
    local upwards, scores, disorder = ids_of(group, low, high)
    local ids, values, ties = {}, {}, {}
    for i = 1, #upwards do
      local id = upwards[descending and #upwards + 1 - i or i]
      ids[i] = integer(id)
      ties[i] = disorder[id] and "1" or "0"
      if group.unit then
        values[i] = integer(math.floor(scores[id] / group.unit))
      elseif is_timed and group.value == timed_value then
        values[i] = integer(scores[id])
      end
    end
    return {
      value_of(group),
      table.concat(ids, " "),
      sort == "created_at" and created(ids) or table.concat(values, " "),
      table.concat(ties),
    }, from
  end

  local parts, passed = {}, 0
  for _, group in ipairs(all) do
    local from = math.max(first - passed, 0)
    local to = math.min(last - passed, group.size)
    if from < to then
      local part, part_first = answer(group, from, to)
      if #parts == 0 then
        first = passed + part_first
      end
      parts[#parts + 1] = part
    end
    passed = passed + group.size
  end
  return { total, first, parts, from_rank }
end
