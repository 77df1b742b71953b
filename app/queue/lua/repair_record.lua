-- Re-checks one record, and everything that must be there because of it. A part of `repair`.
--
-- Takes the job's id, its record as text (or false: there is a payload, but no record), head start
-- ms, whether jobs are searchable, the time

-- The sets that must hold the job: key → its score, and whether that is the only one allowed.
local function places_of(record, head_start_ms, now)
  local bucket = bucket_of(record)
  local places = { [PREFIX .. "Index:" .. bucket] = { record.id, true } }
  if record.picked_at then
    places[PREFIX .. "Picked:" .. bucket] = { record.picked_at, true }
  end
  if record.retry_count > 0 then
    places[PREFIX .. "Retries:" .. bucket] = { retries_score(record), true }
  end
  if FINAL[record.status] then
    places[PREFIX .. "Completed:" .. bucket] = { record.completed_at, true }
  elseif record.status == "pending" then
    -- Ranks keep the head start that was set when the job became pending.
    places[PLACE.pending] = { rank(record, head_start_ms or 0), false }
  elseif record.status == "processing" then
    -- A lease that has run out: the reaper takes the job.
    places[PLACE.processing] = { now, false }
  else
    places[PLACE[record.status]] = { record.run_at, true }
  end
  for tag in string.gmatch(record.tags or "", "[^,]+") do
    places[PREFIX .. "Tag:" .. tag] = { record.id, true }
  end
  return places
end

-- What the record itself lacks, or has too much.
local function complete_record(record, now, tell)
  local status = record.status
  local function set(field, value, line)
    record[field] = value
    save(record)
    tell(line)
  end
  local function demand(field, wanted, value)
    if wanted and not record[field] then
      set(field, value, "had no " .. field)
    elseif not wanted and record[field] then
      set(field, nil, "had a " .. field .. " although it is " .. status)
    end
  end
  demand("completed_at", FINAL[status], now)
  demand("run_at", status == "scheduled" or status == "failed", now)
  demand("token", status == "processing", "repaired")
  if record.cancel_requested and status ~= "processing" then
    demand("cancel_requested", false)
  end
  local charged = record.retry_count + (record.deaths or 0)
  local least = math.max(charged, (record.picked_at or status == "processing") and 1 or 0)
  if (record.attempts or 0) < least then
    set("attempts", least, "had begun more often than it says")
  end
  if (record.attempts or 0) > 0 then
    demand("picked_at", true, record.created_at)
    demand("worker", true, "unknown")
  elseif record.worker then
    set("worker", nil, "had a worker although it never began")
  end
end

local function counted_wrong(tag)
  local counted = redis.call("ZSCORE", PREFIX .. "Tags", tag)
  return tonumber(counted or 0) ~= redis.call("ZCARD", PREFIX .. "Tag:" .. tag)
end

-- A job that can't be done any more must not look as if it would be.
local function give_up_without_payload(record, now, tell)
  local id = IDS[record]
  mend("HSET", JOB_PAYLOAD, id, "")
  if FINAL[record.status] or record.status == "processing" then
    tell("its payload is gone; it can't be mended")
    return
  end
  tell("its payload is gone; it is given up")
  leave(record)
  record.last_error = "repair: its payload was lost"
  make_final(record, "permanently_failed", now)
  count("permanently_failed", record.job_type)
end

local function repair_record(id, text, head_start_ms, searchable, now)
  local function tell(line)
    say("job " .. id .. ": " .. line)
  end
  local record, old = readable(id, text)
  if not record then
    if text then
      mend("HSET", PREFIX .. "Unreadable", id, text)
    end
    if not is_id(id) then
      tell("this is no id; what it held is in " .. PREFIX .. "Unreadable")
      mend("HDEL", JOB_MAP, id)
      return
    end
    record = salvage(id, old, head_start_ms, now)
    tell(text and "its record could not be read; written anew, the old text is in "
      .. PREFIX .. "Unreadable" or "its record was gone; written anew")
  end
  keep(id, record)
  if record.salvaged then
    save(record)
  end
  complete_record(record, now, tell)
  if redis.call("HEXISTS", JOB_PAYLOAD, id) == 0 then
    give_up_without_payload(record, now, tell)
  end
  local bucket = bucket_of(record)
  if redis.call("SISMEMBER", PREFIX .. "Buckets", bucket) == 0 then
    mend("SADD", PREFIX .. "Buckets", bucket)
    tell("its bucket was not in Buckets")
  end
  for key, place in pairs(places_of(record, head_start_ms, now)) do
    local score, exact = place[1], place[2]
    local found = redis.call("ZSCORE", key, id)
    if not found or (exact and tonumber(found) ~= tonumber(score)) then
      mend("ZADD", key, score, id)
      tell((found and "had another score in " or "was missing in ") .. key)
    end
  end
  for tag in string.gmatch(record.tags or "", "[^,]+") do
    if counted_wrong(tag) then
      TAGS[tag] = true
      tell("its tag " .. tag .. " was counted wrong")
    end
  end
  -- Also makes jobs findable that were submitted when searching was off.
  local summary = searchable and redis.call("HGET", JOB_SUMMARY, id) or ""
  for _, entry in ipairs(find_entries(id, summary)) do
    if not redis.call("ZSCORE", FIND, entry) then
      mend("ZADD", FIND, 0, entry)
      tell("was missing in " .. FIND)
    end
  end
end
