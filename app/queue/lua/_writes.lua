-- Sorted sets and counters: changed in Lua, written once by `flush`, records with them. So a call for
-- 100 jobs makes a few dozen Redis commands, not a thousand.

local ADDS, REMOVES, COUNTS, TAGS = {}, {}, {}, {}
local BUCKETS = {} -- names of buckets that a job entered

local function add(key, score, id)
  local list = ADDS[key]
  if not list then
    list = {}
    ADDS[key] = list
  end
  local n = #list
  list[n + 1] = score
  list[n + 2] = id
end

local function remove(key, id)
  local list = REMOVES[key]
  if not list then
    list = {}
    REMOVES[key] = list
  end
  list[#list + 1] = id
end

local function count(event, job_type, times)
  local name = event .. ":" .. job_type
  COUNTS[name] = (COUNTS[name] or 0) + (times or 1)
end

local function call_in_steps(command, key, list)
  for first = 1, #list, VARIADIC_MAX do
    redis.call(command, key, unpack(list, first, math.min(first + VARIADIC_MAX - 1, #list)))
  end
end

local function remove_collected()
  for key, list in pairs(REMOVES) do
    call_in_steps("ZREM", key, list)
  end
end

-- Counts since the beginning and for this minute.
local function write_counts(now)
  local stats, minute_key = PREFIX .. "Stats", PREFIX .. "Stats:" .. integer(math.floor(now / 60000))
  for name, times in pairs(COUNTS) do
    redis.call("HINCRBY", stats, name, times)
    if redis.call("HINCRBY", minute_key, name, times) == times then
      redis.call("EXPIRE", minute_key, 172800) -- its first count; perhaps the first of the minute
    end
  end
end

-- Writes what was collected. Removals first: an id may leave a set and enter it again.
--
-- `additions_first` is for who knows that no id does. A set that all its jobs leave while as many
-- enter is then not made anew, in its smallest form, where each step takes longer the more it holds.
-- `revision` is the next one, from who notes the time of creation as well: one command, not two.
local function flush(now, additions_first, revision)
  if not additions_first then
    remove_collected()
  end
  for key, list in pairs(ADDS) do
    call_in_steps("ZADD", key, list)
  end
  if additions_first then
    remove_collected()
  end
  call_in_steps("SADD", PREFIX .. "Buckets", BUCKETS)
  for tag in pairs(TAGS) do
    local jobs = redis.call("ZCARD", PREFIX .. "Tag:" .. tag)
    if jobs > 0 then
      redis.call("ZADD", PREFIX .. "Tags", jobs, tag)
    else
      redis.call("ZREM", PREFIX .. "Tags", tag)
    end
  end
  local fields = {}
  for id, text in pairs(CHANGED) do
    if text == true then
      text = cjson.encode(RECORDS[id])
    end
    WRITTEN[id] = text
    fields[#fields + 1] = id
    fields[#fields + 1] = text
  end
  call_in_steps("HSET", JOB_MAP, fields)
  if next(COUNTS) or #fields > 0 then
    write_counts(now)
    if revision then
      redis.call("HSET", META, "revision", revision, "created_at", integer(now))
    else
      redis.call("HINCRBY", META, "revision", 1)
    end
  end
  ADDS, REMOVES, BUCKETS, COUNTS, TAGS, CHANGED = {}, {}, {}, {}, {}, {}
end
