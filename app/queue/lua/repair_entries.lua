-- Re-checks some entries of one sorted set. A part of `repair`.
--
-- Takes the key, and what ZSCAN gave: entries and scores, flat

local function repair_find(entry)
  local id = integer(tonumber(string.sub(entry, -12), 16) or 0)
  for _, wanted in ipairs(find_entries(id, redis.call("HGET", JOB_SUMMARY, id) or "")) do
    if wanted == entry then
      return
    end
  end
  mend("ZREM", FIND, entry)
  say("job " .. id .. ": did not belong in " .. FIND)
end

local function repair_tag_count(tag)
  if counted_wrong(tag) then
    TAGS[tag] = true
    say("tag " .. tag .. ": was counted wrong")
  end
end

-- The tags of a job whose record was lost stand nowhere else.
local function give_tag_back(id, record, key)
  local tag = string.sub(key, #PREFIX + 5)
  keep(id, record)
  record.tags = record.tags and (record.tags .. "," .. tag) or tag
  save(record)
  TAGS[tag] = true
  say("job " .. id .. ": has its tag " .. tag .. " again")
end

local function repair_job_entry(key, id, now)
  local text = redis.call("HGET", JOB_MAP, id)
  local record = readable(id, text)
  if not record and is_id(id) and (text or redis.call("HEXISTS", JOB_PAYLOAD, id) == 1) then
    return -- this set may be all that is known of the job: its record comes first
  end
  if record and places_of(record, 0, now)[key] then
    return
  end
  if record and record.salvaged and string.find(key, PREFIX .. "Tag:", 1, true) == 1 then
    give_tag_back(id, record, key)
    return
  end
  mend("ZREM", key, id)
  say("job " .. id .. ": did not belong in " .. key)
end

local function repair_entries(key, found, now)
  for i = 1, #found, 2 do
    if key == FIND then
      repair_find(found[i])
    elseif key == PREFIX .. "Tags" then
      repair_tag_count(found[i])
    else
      repair_job_entry(key, found[i], now)
    end
  end
end
