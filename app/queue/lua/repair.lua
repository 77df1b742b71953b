-- Re-checks some records, or some entries of one sorted set, and mends what contradicts.
--
-- The record is right, unless it can't be read. A processing job without a lease gets one that has
-- run out, so that the reaper takes it.
--
-- ARGV  "records", cursor, head start ms     looks at about 100 records of Job_map
--       "entries", cursor, key               looks at about 100 entries of a place or index
-- Returns the next cursor ("0": done) and a line for each thing mended.

local function places_of(record)
  local bucket = bucket_of(record)
  local places = { [PREFIX .. "Index:" .. bucket] = true }
  if record.picked_at then
    places[PREFIX .. "Picked:" .. bucket] = true
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

local function place_score(record, key, head_start_ms, now)
  if key == PLACE.pending then
    return rank(record, head_start_ms)
  elseif key == PLACE.failed or key == PLACE.scheduled then
    return record.run_at or now
  elseif key == PLACE.processing then
    return now
  elseif string.find(key, PREFIX .. "Picked:", 1, true) == 1 then
    return record.picked_at
  elseif string.find(key, PREFIX .. "Completed:", 1, true) == 1 then
    return record.completed_at or now
  end
  return record.id
end

local function known_status(record)
  return type(record) == "table" and record.id and (FINAL[record.status] or PLACE[record.status])
end

local function repair_record(id, text, head_start_ms, now, mended)
  local readable, record = pcall(cjson.decode, text)
  if not readable or not known_status(record) then
    mended[#mended + 1] = "job " .. id .. ": its record can't be read; left as it is"
    return
  end
  keep(id, record)
  if redis.call("HEXISTS", JOB_PAYLOAD, id) == 0 then
    mended[#mended + 1] = "job " .. id .. ": its payload is gone; it can't be mended"
  end
  if FINAL[record.status] and not record.completed_at then
    record.completed_at = now
    save(record)
    mended[#mended + 1] = "job " .. id .. ": had no completed_at"
  end
  redis.call("SADD", PREFIX .. "Buckets", bucket_of(record))
  for key in pairs(places_of(record)) do
    if not redis.call("ZSCORE", key, id) then
      redis.call("ZADD", key, place_score(record, key, head_start_ms, now), id)
      mended[#mended + 1] = "job " .. id .. ": was missing in " .. key
    end
  end
end

local function repair(argv)
  local mode, cursor = argv[1], argv[2]
  local now, mended = now_ms(), {}
  if mode == "records" then
    local step = redis.call("HSCAN", JOB_MAP, cursor, "COUNT", 100)
    for i = 1, #step[2], 2 do
      repair_record(step[2][i], step[2][i + 1], tonumber(argv[3]), now, mended)
    end
    flush(now)
    if #mended > 0 then
      wake()
    end
    return { step[1], mended }
  end

  local key = argv[3]
  local step = redis.call("ZSCAN", key, cursor, "COUNT", 100)
  for i = 1, #step[2], 2 do
    local id = step[2][i]
    local text = redis.call("HGET", JOB_MAP, id)
    local readable, record = pcall(cjson.decode, text or "")
    local belongs = readable and known_status(record) and places_of(record)[key]
    if not belongs and (not text or readable) then
      redis.call("ZREM", key, id)
      mended[#mended + 1] = "job " .. id .. ": did not belong in " .. key
    end
  end
  return { step[1], mended }
end
