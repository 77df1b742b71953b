-- Re-checks a small part of the store, and mends what contradicts.
--
-- The record is right; where it can't be read or is gone, it is written anew from what is left.
--
-- ARGV  "1" for a dry run, the mode, then
--       "names", keys                        indexes whose buckets must be named
--       "records", cursor, head start ms, "1" when jobs are searchable
--                                            looks at about 100 records of Job_map
--       "payloads", the same                 looks at about 100 payloads: each needs its record
--       "fields", cursor, key                looks at about 100 fields of a hash beside them
--       "entries", cursor, key               looks at about 100 entries of a place or index
--       "counters", cursor, key              looks at a hash of counters
-- Returns the next cursor ("0": done), a line for each thing mended, how much it looked at.

local MODES = {}

-- A bucket without a name is seen by no page and no count.
function MODES.names(argv)
  for at = 3, #argv do
    local bucket = string.sub(argv[at], #PREFIX + 7)
    local status, priority = string.match(bucket, "^(.-):.+:(.-):[012]$")
    local is_bucket = is_status(status) and (priority == "high" or priority == "low")
    if is_bucket and redis.call("EXISTS", argv[at]) == 1
      and redis.call("SISMEMBER", PREFIX .. "Buckets", bucket) == 0 then
      mend("SADD", PREFIX .. "Buckets", bucket)
      say("bucket " .. bucket .. ": was not in Buckets")
    end
  end
  return "0", #argv - 2
end

-- Where ids of records are above the counter, the next submission would overwrite a job.
local function repair_id_counter(ids)
  local highest = 0
  for i = 1, #ids, 2 do
    if is_id(ids[i]) then
      highest = math.max(highest, tonumber(ids[i]))
    end
  end
  repair_sequence("query:id:counter", highest, "id")
end

function MODES.records(argv, now)
  local step = redis.call("HSCAN", JOB_MAP, argv[3], "COUNT", 100)
  for i = 1, #step[2], 2 do
    repair_record(step[2][i], step[2][i + 1], tonumber(argv[4]), argv[5] == "1", now)
  end
  repair_id_counter(step[2])
  return step[1], #step[2] / 2
end

function MODES.payloads(argv, now)
  local step = redis.call("HSCAN", JOB_PAYLOAD, argv[3], "COUNT", 100)
  for i = 1, #step[2], 2 do
    local id, payload = step[2][i], step[2][i + 1]
    if not is_id(id) then
      mend("HSET", PREFIX .. "Unreadable", "payload:" .. id, payload)
      mend("HDEL", JOB_PAYLOAD, id)
      say("payload " .. id .. ": this is no id; what it held is in " .. PREFIX .. "Unreadable")
    elseif redis.call("HEXISTS", JOB_MAP, id) == 0 then
      repair_record(id, false, tonumber(argv[4]), argv[5] == "1", now)
    end
  end
  repair_id_counter(step[2])
  return step[1], #step[2] / 2
end

function MODES.fields(argv)
  local cursor, key = argv[3], argv[4]
  local step = redis.call("HSCAN", key, cursor, "COUNT", 100)
  for i = 1, #step[2], 2 do
    repair_field(key, step[2][i], step[2][i + 1])
  end
  return step[1], #step[2] / 2
end

function MODES.entries(argv, now)
  local cursor, key = argv[3], argv[4]
  local step = redis.call("ZSCAN", key, cursor, "COUNT", 100)
  repair_entries(key, step[2], now)
  return step[1], #step[2] / 2
end

function MODES.counters(argv)
  repair_counters(argv[4])
  return "0", 1
end

local function repair(argv)
  DRY = argv[1] == "1"
  local now = now_ms()
  local cursor, looked_at = MODES[argv[2]](argv, now)
  if not DRY then
    flush(now)
    if #SAID > 0 then
      wake()
    end
  end
  return { cursor, SAID, looked_at }
end
