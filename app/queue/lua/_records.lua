-- Records, sorted sets and counters: read once, changed in Lua, written once by `flush`. So a call
-- for 100 jobs makes a few dozen Redis commands, not a thousand.

local RECORDS = {} -- id (string) → record
local IDS = {} -- record → id (string)
local CHANGED = {} -- id (string) → true
local WRITTEN = {} -- id (string) → the record as it was last written, JSON

local function keep(id, record)
  RECORDS[id] = record
  IDS[record] = id
end

local function load(ids)
  for first = 1, #ids, VARIADIC_MAX do
    local last = math.min(first + VARIADIC_MAX - 1, #ids)
    local found = redis.call("HMGET", JOB_MAP, unpack(ids, first, last))
    for i = first, last do
      local text = found[i - first + 1]
      if text and not RECORDS[ids[i]] then
        -- An error here would end the script half done. `repair` names records it can't read.
        local readable, record = pcall(cjson.decode, text)
        if readable then
          keep(ids[i], record)
        end
      end
    end
  end
end

local function load_one(id)
  load({ id })
  return RECORDS[id]
end

local function save(record)
  CHANGED[IDS[record]] = true
end

-- ── Writes, collected ──────────────────────────────────────────────────────────────────────────

local ADDS, COUNTS, TAGS = {}, {}, {}
local REMOVES = {} -- key → id → true
local BUCKETS = {} -- names of buckets that a job entered

local function add(key, score, id)
  local removes = REMOVES[key]
  if removes then
    removes[id] = nil -- its new score says all
  end
  local list = ADDS[key]
  if not list then
    list = {}
    ADDS[key] = list
  end
  list[#list + 1] = score
  list[#list + 1] = id
end

local function remove(key, id)
  local removes = REMOVES[key]
  if not removes then
    removes = {}
    REMOVES[key] = removes
  end
  removes[id] = true
end

local function count(event, job_type, times)
  local name = event .. ":" .. job_type
  COUNTS[name] = (COUNTS[name] or 0) + (times or 1)
end

-- The upper bounds of the counters of durations; what is above the last counts as "inf".
local BOUNDS_MS = {
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000,
  500000, 1000000, 2000000, 5000000, 10000000, 20000000, 50000000, 100000000,
}
local DURATIONS = { wait = {}, run = {} } -- name → ms → how many; many jobs of a call have the same

-- Counts a duration; `name` is "wait" (from ready to picked) or "run" (from picked to settled).
local function measure(name, ms)
  local counts = DURATIONS[name]
  counts[ms] = (counts[ms] or 0) + 1
end

local function bound_of(ms)
  for _, bound in ipairs(BOUNDS_MS) do
    if ms <= bound then
      return integer(bound)
    end
  end
  return "inf"
end

local function count_durations()
  for name, counts in pairs(DURATIONS) do
    for ms, times in pairs(counts) do
      count(name, bound_of(ms), times)
      count(name, "sum", math.max(0, ms) * times)
    end
    DURATIONS[name] = {}
  end
end

local function call_in_steps(command, key, list)
  for first = 1, #list, VARIADIC_MAX do
    redis.call(command, key, unpack(list, first, math.min(first + VARIADIC_MAX - 1, #list)))
  end
end

-- Counts since the beginning and for this minute.
local function write_counts(now)
  local stats, minute_key = PREFIX .. "Stats", PREFIX .. "Stats:" .. integer(math.floor(now / 60000))
  for name, times in pairs(COUNTS) do
    local text = integer(times)
    redis.call("HINCRBY", stats, name, text)
    if redis.call("HINCRBY", minute_key, name, text) == times then
      redis.call("EXPIRE", minute_key, 172800) -- its first count; perhaps the first of the minute
    end
  end
end

-- Writes what was collected. Additions first: a set that all jobs leave while as many enter is not
-- made anew, from its smallest form, in which finding a place takes longer the more it holds.
local function flush(now)
  count_durations()
  for key, list in pairs(ADDS) do
    call_in_steps("ZADD", key, list)
  end
  for key, removes in pairs(REMOVES) do
    local list = {}
    for id in pairs(removes) do
      list[#list + 1] = id
    end
    call_in_steps("ZREM", key, list)
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
  for id in pairs(CHANGED) do
    local text = cjson.encode(RECORDS[id])
    WRITTEN[id] = text
    fields[#fields + 1] = id
    fields[#fields + 1] = text
  end
  call_in_steps("HSET", JOB_MAP, fields)
  if next(COUNTS) or #fields > 0 then
    write_counts(now)
    redis.call("HINCRBY", META, "revision", 1)
  end
  ADDS, REMOVES, BUCKETS, COUNTS, TAGS, CHANGED = {}, {}, {}, {}, {}, {}
end
