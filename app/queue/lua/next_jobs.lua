-- The next jobs that an operation comes to, and where it is then. A part of `operate`.
--
-- Takes the conditions { status, job_type, priority ("" for any), tags (a list), find (how entries
-- of `Find` begin), id; "" for none }, the highest id that counts, the cursor ("" at the start),
-- how many jobs to look at
-- Returns the records that match, newest first, and the next cursor, or nil at the end.

local function next_jobs(conditions, last_id, cursor, limit)
  local find = conditions.find

  local function from_buckets()
    local found, horizon =
      shares(conditions.status, conditions.job_type, conditions.priority, cursor, limit)
    local numbers = {}
    for i, id in ipairs(found) do
      numbers[i] = tonumber(id)
    end
    table.sort(numbers)
    local ids = {}
    for i = #numbers, math.max(1, #numbers - limit + 1), -1 do
      if numbers[i] < horizon then
        break
      end
      ids[#ids + 1] = integer(numbers[i])
    end
    return ids, ids[#ids]
  end

  local function from_tag()
    local below = cursor == "" and "+inf" or "(" .. cursor
    local ids = redis.call(
      "ZREVRANGEBYSCORE", PREFIX .. "Tag:" .. conditions.tags[1], below, "-inf", "LIMIT", 0, limit)
    return ids, ids[#ids]
  end

  -- A job may have several entries that begin so; the first of them stands for all.
  local function stands_for(id, entry)
    for _, other in ipairs(find_entries(id, redis.call("HGET", JOB_SUMMARY, id) or "")) do
      if string.sub(other, 1, #find) == find then
        return other == entry
      end
    end
    return false
  end

  local function from_find()
    local below = "(" .. (cursor == "" and find .. "\255" or cursor)
    local found = redis.call("ZREVRANGEBYLEX", FIND, below, "[" .. find, "LIMIT", 0, limit)
    local ids = {}
    for _, entry in ipairs(found) do
      local id = integer(tonumber(string.sub(entry, -12), 16))
      if stands_for(id, entry) then
        ids[#ids + 1] = id
      end
    end
    return ids, found[#found]
  end

  local function matches(record)
    for _, tag in ipairs(conditions.tags) do
      if not string.find("," .. (record.tags or "") .. ",", "," .. tag .. ",", 1, true) then
        return false
      end
    end
    return record.id <= last_id
      and (conditions.status == "" or conditions.status == record.status)
      and (conditions.job_type == "" or conditions.job_type == record.job_type)
      and (conditions.priority == "" or conditions.priority == record.priority)
  end

  local ids, next_cursor
  if conditions.id ~= "" then
    ids = { conditions.id }
  elseif find ~= "" then
    ids, next_cursor = from_find()
  elseif #conditions.tags > 0 then
    ids, next_cursor = from_tag()
  else
    ids, next_cursor = from_buckets()
  end
  load(ids)
  local records = {}
  for _, id in ipairs(ids) do
    if RECORDS[id] and matches(RECORDS[id]) then
      records[#records + 1] = RECORDS[id]
    end
  end
  return records, next_cursor
end
