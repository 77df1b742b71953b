-- Where a job is: its place, its indexes, its tags and what finds it. `leave`, change, `enter`.

local SETS = {} -- bucket → the names of its sorted sets

-- How far a job has come: 0 never began, 1 began, 2 an attempt failed. Not the number of retries:
-- buckets would multiply, and a page asks every one of them.
local function stage_of(record)
  if record.retry_count > 0 then
    return ":2"
  end
  return record.picked_at and ":1" or ":0"
end

local function bucket_of(record)
  return record.status .. ":" .. record.job_type .. ":" .. record.priority .. stage_of(record)
end

local function retries_score(record)
  return integer(math.min(record.retry_count, RETRIES_MAX) * RETRIES_UNIT + record.id)
end

local function sets_of(record)
  local bucket = bucket_of(record)
  local sets = SETS[bucket]
  if not sets then
    sets = {
      index = PREFIX .. "Index:" .. bucket,
      picked = PREFIX .. "Picked:" .. bucket,
      completed = PREFIX .. "Completed:" .. bucket,
      retries = PREFIX .. "Retries:" .. bucket,
    }
    SETS[bucket] = sets
  end
  return sets, bucket
end

local function unindex(record)
  local sets, id = sets_of(record), IDS[record]
  remove(sets.index, id)
  if record.picked_at then
    remove(sets.picked, id)
  end
  if record.retry_count > 0 then
    remove(sets.retries, id)
  end
  if FINAL[record.status] then
    remove(sets.completed, id)
  end
end

-- Takes the job out of its place and its indexes, as its record names them.
local function leave(record)
  unindex(record)
  if not FINAL[record.status] then
    remove(PLACE[record.status], IDS[record])
  end
end

-- Puts the job where its record says. `place_score` is the rank, the due time or the lease's end;
-- a final status has none. `text` is the record's, where that is known already.
local function enter(record, place_score, text)
  local id = IDS[record]
  local sets, bucket = sets_of(record)
  if not sets.known then
    sets.known = true
    BUCKETS[#BUCKETS + 1] = bucket
  end
  add(sets.index, id, id)
  if record.picked_at then
    add(sets.picked, integer(record.picked_at), id)
  end
  if record.retry_count > 0 then
    add(sets.retries, retries_score(record), id)
  end
  if FINAL[record.status] then
    add(sets.completed, integer(record.completed_at), id)
  else
    add(PLACE[record.status], place_score, id)
  end
  save(record, text)
end

-- An idle worker blocks on the first marker, an idle retry worker on the second.
local function wake()
  redis.call("ZADD", PREFIX .. "Wake", 0, "1")
end

local function wake_due()
  redis.call("ZADD", PREFIX .. "Wake:due", 0, "1")
end

local function make_pending(record, head_start_ms, text)
  record.status = "pending"
  enter(record, rank(record, head_start_ms), text)
end

-- `status` is failed or scheduled. Wakes the retry worker when this job is due before all others.
local function make_wait(record, status, due_ms)
  record.status = status
  record.run_at = due_ms
  local first = redis.call("ZRANGE", PLACE[status], 0, 0, "WITHSCORES")[2]
  if not first or due_ms < tonumber(first) then
    wake_due()
  end
  enter(record, due_ms)
end

local function make_final(record, status, now, text)
  record.status = status
  record.completed_at = now
  record.run_at = nil
  record.cancel_requested = nil
  enter(record, nil, text)
end

-- The entries of `Find` that lead to a job, from its entry in `Job_summary`: the beginning of its
-- title, and the addresses, the domain first so that a domain is a beginning too. The id's digits
-- keep the jobs of one address in order.
local function find_entries(id, summary)
  local tail = "\0" .. string.format("%012x", tonumber(id))
  local title, searched, people = string.match(summary, "^([^\n]*)\n([^\n]*)\n?(.*)$")
  if not title then
    return {}
  end
  if searched == "" then
    searched = string.lower(string.sub(title, 1, 64))
  end
  local entries = {}
  if searched ~= "" then
    entries[1] = "t:" .. searched .. tail
  end
  for person in string.gmatch(people, "[^\n]+") do
    local name, domain = string.match(string.lower(person), "^(.+)@([^@]+)$")
    if name then
      entries[#entries + 1] = "r:" .. domain .. "@" .. name .. tail
    end
  end
  return entries
end

-- Deletes all that is kept of a job.
local function forget(record)
  local id = IDS[record]
  leave(record)
  for tag in string.gmatch(record.tags or "", "[^,]+") do
    remove(PREFIX .. "Tag:" .. tag, id)
    TAGS[tag] = true
  end
  local summary = redis.call("HGET", JOB_SUMMARY, id)
  if summary then
    for _, entry in ipairs(find_entries(id, summary)) do
      remove(FIND, entry)
    end
    redis.call("HDEL", JOB_SUMMARY, id)
  end
  redis.call("HDEL", JOB_MAP, id)
  redis.call("HDEL", JOB_PAYLOAD, id)
  redis.call("HDEL", JOB_ATTEMPTS, id)
end
