-- Re-checks some records, or some entries of one sorted set, and mends what contradicts.
--
-- The record is right, unless it can't be read. A processing job without a lease gets one that has
-- run out, so that the reaper takes it. Ranks are left alone: they keep the head start that was
-- set when the job became pending.
--
-- ARGV  "records", cursor, head start ms, "1" when jobs are searchable
--                                            looks at about 100 records of Job_map
--       "entries", cursor, key               looks at about 100 entries of a place or index
-- Returns the next cursor ("0": done) and a line for each thing mended.

local function places_of(record)
  local bucket = bucket_of(record)
  local places = { [PREFIX .. "Index:" .. bucket] = true }
  if record.picked_at then
    places[PREFIX .. "Picked:" .. bucket] = true
  end
  if record.retry_count > 0 then
    places[PREFIX .. "Retries:" .. bucket] = true
  end
  if FINAL[record.status] then
    places[PREFIX .. "Completed:" .. bucket] = true
  else
    places[PLACE[record.status]] = true
  end
  for tag in string.gmatch(record.tags or "", "[^,]+") do
    places[PREFIX .. "Tag:" .. tag] = true
  end
  return places
end

-- The entry's score. Second: is it the only one allowed?
local function place_score(record, key, head_start_ms, now)
  if key == PLACE.pending then
    return rank(record, head_start_ms), false
  elseif key == PLACE.processing then
    return now, false
  elseif key == PLACE.failed or key == PLACE.scheduled then
    return record.run_at, true
  elseif string.find(key, PREFIX .. "Picked:", 1, true) == 1 then
    return record.picked_at, true
  elseif string.find(key, PREFIX .. "Retries:", 1, true) == 1 then
    return retries_score(record), true
  elseif string.find(key, PREFIX .. "Completed:", 1, true) == 1 then
    return record.completed_at, true
  end
  return record.id, true
end

-- The record, when it has what every verb relies on.
local function readable(id, text)
  local decoded, record = pcall(cjson.decode, text or "")
  local whole = decoded
    and type(record) == "table"
    and record.id == tonumber(id)
    and (FINAL[record.status] or PLACE[record.status])
    and type(record.job_type) == "string"
    and (record.priority == "high" or record.priority == "low")
    and type(record.retry_count) == "number"
    and type(record.created_at) == "number"
  return whole and record or nil
end

-- What the record itself lacks, or has too much.
local function repair_fields(record, now)
  local lines = {}
  local function mend(field, value, line)
    record[field] = value
    lines[#lines + 1] = line
  end
  local status = record.status
  if FINAL[status] and not record.completed_at then
    mend("completed_at", now, "had no completed_at")
  elseif not FINAL[status] and record.completed_at then
    mend("completed_at", nil, "had a completed_at although it is " .. status)
  end
  local waits = status == "scheduled" or status == "failed"
  if waits and not record.run_at then
    mend("run_at", now, "had no run_at")
  elseif not waits and record.run_at then
    mend("run_at", nil, "had a run_at although it is " .. status)
  end
  if status == "processing" and not record.token then
    mend("token", "repaired", "had no token")
  elseif status ~= "processing" and record.token then
    mend("token", nil, "had a token although it is " .. status)
  end
  return lines
end

local function counted_wrong(tag)
  local counted = redis.call("ZSCORE", PREFIX .. "Tags", tag)
  return tonumber(counted or 0) ~= redis.call("ZCARD", PREFIX .. "Tag:" .. tag)
end

-- The entries of `Find`. Also makes jobs findable that were submitted when searching was off.
local function repair_entries(id, say)
  for _, entry in ipairs(find_entries(id, redis.call("HGET", JOB_SUMMARY, id) or "")) do
    if redis.call("ZADD", FIND, "NX", 0, entry) == 1 then
      say("was missing in " .. FIND)
    end
  end
end

local function repair_record(id, text, head_start_ms, searchable, now, mended)
  local function say(line)
    mended[#mended + 1] = "job " .. id .. ": " .. line
  end
  local record = readable(id, text)
  if not record then
    say("its record can't be read; left as it is")
    return
  end
  keep(id, record)
  if redis.call("HEXISTS", JOB_PAYLOAD, id) == 0 then
    say("its payload is gone; it can't be mended")
  end
  for _, line in ipairs(repair_fields(record, now)) do
    save(record)
    say(line)
  end
  if redis.call("SADD", PREFIX .. "Buckets", bucket_of(record)) == 1 then
    say("its bucket was not in Buckets")
  end
  for key in pairs(places_of(record)) do
    local found = redis.call("ZSCORE", key, id)
    local score, exact = place_score(record, key, head_start_ms, now)
    if not found or (exact and tonumber(found) ~= tonumber(score)) then
      redis.call("ZADD", key, score, id)
      say((found and "had another score in " or "was missing in ") .. key)
    end
  end
  for tag in string.gmatch(record.tags or "", "[^,]+") do
    if counted_wrong(tag) then
      TAGS[tag] = true
      say("its tag " .. tag .. " was counted wrong")
    end
  end
  if searchable then
    repair_entries(id, say)
  end
end

-- An id that is given again would overwrite a job.
local function repair_counter(ids, mended)
  local key = PREFIX .. "query:id:counter"
  local highest = tonumber(redis.call("GET", key) or 0) or 0
  local behind = false
  for i = 1, #ids, 2 do
    local id = tonumber(ids[i])
    if id and id > highest then
      highest, behind = id, true
    end
  end
  if behind then
    redis.call("SET", key, integer(highest))
    mended[#mended + 1] = "the id counter was behind; it is " .. integer(highest) .. " now"
  end
end

local function repair_find(found)
  local mended = {}
  for i = 1, #found, 2 do
    local entry, belongs = found[i], false
    local id = integer(tonumber(string.sub(entry, -12), 16) or 0)
    for _, wanted in ipairs(find_entries(id, redis.call("HGET", JOB_SUMMARY, id) or "")) do
      belongs = belongs or wanted == entry
    end
    if not belongs then
      redis.call("ZREM", FIND, entry)
      mended[#mended + 1] = "job " .. id .. ": did not belong in " .. FIND
    end
  end
  return mended
end

local function repair_tags(found)
  local mended = {}
  for i = 1, #found, 2 do
    local tag = found[i]
    if counted_wrong(tag) then
      TAGS[tag] = true
      mended[#mended + 1] = "tag " .. tag .. ": was counted wrong"
    end
  end
  flush(now_ms())
  return mended
end

local function repair(argv)
  local mode, cursor = argv[1], argv[2]
  local now, mended = now_ms(), {}
  if mode == "records" then
    local step = redis.call("HSCAN", JOB_MAP, cursor, "COUNT", 100)
    for i = 1, #step[2], 2 do
      repair_record(step[2][i], step[2][i + 1], tonumber(argv[3]), argv[4] == "1", now, mended)
    end
    repair_counter(step[2], mended)
    flush(now)
    if #mended > 0 then
      wake()
    end
    return { step[1], mended }
  end

  local key = argv[3]
  local step = redis.call("ZSCAN", key, cursor, "COUNT", 100)
  if key == FIND then
    return { step[1], repair_find(step[2]) }
  elseif key == PREFIX .. "Tags" then
    return { step[1], repair_tags(step[2]) }
  end
  for i = 1, #step[2], 2 do
    local id = step[2][i]
    local text = redis.call("HGET", JOB_MAP, id)
    local record = readable(id, text)
    -- What can't be read stays where it is: the place may be all that is known of the job.
    if not text or (record and not places_of(record)[key]) then
      redis.call("ZREM", key, id)
      mended[#mended + 1] = "job " .. id .. ": did not belong in " .. key
    end
  end
  return { step[1], mended }
end
