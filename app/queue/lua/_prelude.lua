-- What all scripts share. The loader puts it in front of every verb.
--
-- KEYS  Job_map. It names the prefix of all other keys; on a cluster they share its slot.
--
-- Records are read once into RECORDS and written once by `flush`, and so are sorted sets and
-- counters: a call for 100 jobs makes a few dozen Redis commands, not a thousand.

local unpack = unpack or table.unpack

local PREFIX = string.sub(KEYS[1], 1, -8)
local JOB_MAP = KEYS[1]
local JOB_PAYLOAD = PREFIX .. "Job_payload"
local JOB_ATTEMPTS = PREFIX .. "Job_attempts"
local JOB_SUMMARY = PREFIX .. "Job_summary"
local FIND = PREFIX .. "Find"
local META = PREFIX .. "Meta"

-- The places of the statuses that are not final. A final status has one set for each bucket.
local PLACE = {
  pending = PREFIX .. "Mail_queue",
  failed = PREFIX .. "Retry_queue",
  scheduled = PREFIX .. "Scheduled_queue",
  processing = PREFIX .. "Processing",
}
local FINAL = { success = true, permanently_failed = true, cancelled = true }

-- How long a repeated call is recognised. Clients re-send within seconds.
local CALL_MEMORY_MS = 60000
local ATTEMPTS_MAX_BYTES = 65536
local VARIADIC_MAX = 1000
-- In `Retries:<bucket>` a job's number of retries stands above its id; together they fit a double.
local RETRIES_UNIT = 8796093022208 -- 2^43
local RETRIES_MAX = 1023

local TEXTS = {}

-- The digits of an integer. One call writes the same few times and counts a hundred times over.
local function integer(number)
  local text = TEXTS[number]
  if not text then
    text = string.format("%.0f", number)
    TEXTS[number] = text
  end
  return text
end

local function now_ms()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- High before low, then by the time at which the job became ready; a low job that waited
-- `head_start_ms` longer goes first. Ties within a millisecond keep the order of ids: 41 bits of
-- milliseconds and 11 of tie-break fit a double exactly.
local function rank(record, head_start_ms)
  local ready_ms = record.ready_at or record.created_at
  local handicap = record.priority == "low" and head_start_ms or 0
  return ready_ms + handicap + (record.id % 2048) / 2048
end

-- ── Records ────────────────────────────────────────────────────────────────────────────────────

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

local ADDS, REMOVES, COUNTS, TAGS = {}, {}, {}, {}

local function add(key, score, id)
  local list = ADDS[key]
  if not list then
    list = {}
    ADDS[key] = list
  end
  list[#list + 1] = score
  list[#list + 1] = id
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

-- Writes what was collected. Removals first: an id may leave a set and enter it again.
local function flush(now)
  count_durations()
  for key, list in pairs(REMOVES) do
    call_in_steps("ZREM", key, list)
  end
  for key, list in pairs(ADDS) do
    call_in_steps("ZADD", key, list)
  end
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
  local minute_key = PREFIX .. "Stats:" .. integer(math.floor(now / 60000))
  local counted = false
  for name, times in pairs(COUNTS) do
    redis.call("HINCRBY", PREFIX .. "Stats", name, integer(times))
    redis.call("HINCRBY", minute_key, name, integer(times))
    counted = true
  end
  if counted then
    redis.call("EXPIRE", minute_key, 172800)
  end
  if counted or #fields > 0 then
    redis.call("HINCRBY", META, "revision", 1)
  end
  ADDS, REMOVES, COUNTS, TAGS, CHANGED = {}, {}, {}, {}, {}
end

-- ── Places and indexes ─────────────────────────────────────────────────────────────────────────

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
-- a final status has none.
local function enter(record, place_score)
  local id = IDS[record]
  local sets, bucket = sets_of(record)
  if not sets.known then
    sets.known = true
    redis.call("SADD", PREFIX .. "Buckets", bucket)
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
  save(record)
end

-- An idle worker blocks on the first marker, an idle retry worker on the second.
local function wake()
  redis.call("ZADD", PREFIX .. "Wake", 0, "1")
end

local function wake_due()
  redis.call("ZADD", PREFIX .. "Wake:due", 0, "1")
end

local function make_pending(record, head_start_ms)
  record.status = "pending"
  enter(record, rank(record, head_start_ms))
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

local function make_final(record, status, now)
  record.status = status
  record.completed_at = now
  record.run_at = nil
  record.cancel_requested = nil
  enter(record)
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

-- ── Attempts, leases, repeated calls ───────────────────────────────────────────────────────────

-- Adds a line to the job's history. A success has none: the record says all of it.
local function note_attempt(record, now, outcome, error_text, smtp_code)
  local id = IDS[record]
  local line = cjson.encode({
    n = record.attempts,
    start = record.picked_at,
    ["end"] = now,
    worker = record.worker,
    outcome = outcome,
    error = error_text,
    code = smtp_code,
  })
  local history = redis.call("HGET", JOB_ATTEMPTS, id)
  history = history and (history .. "\n" .. line) or line
  if #history > ATTEMPTS_MAX_BYTES then
    history = string.gsub(string.sub(history, -ATTEMPTS_MAX_BYTES), "^[^\n]*\n", "", 1)
  end
  redis.call("HSET", JOB_ATTEMPTS, id, history)
end

-- The lease is over: its token has spoken, and is kept only to recognise the same word twice.
local function end_lease(record)
  record.last_token = record.token
  record.token, record.sending = nil, nil
end

-- Whose word is this outcome? Returns the record and
-- "ok" (the holder's), "repeat" (already counted), "late" (the lease ran out, but nobody has begun
-- since), or "lost".
local function judge(id, token)
  local record = RECORDS[id]
  if not record then
    return nil, "lost"
  end
  if record.status == "processing" and record.token == token then
    return record, "ok"
  end
  if record.last_token == token then
    return record, "repeat"
  end
  if record.reaped_token == token and record.status == "pending" then
    return record, "late"
  end
  return record, "lost"
end

-- What a call with this nonce answered before, or nil.
local function earlier_answer(nonce)
  return redis.call("GET", PREFIX .. "Call:" .. nonce) or nil
end

local function remember_answer(nonce, answer, memory_ms)
  redis.call("SET", PREFIX .. "Call:" .. nonce, answer, "PX", memory_ms or CALL_MEMORY_MS)
end

-- True when nobody has promoted for so long that a main worker should.
local function housekeeping_due(now, lease_ms, promoted_at)
  return now - (tonumber(promoted_at or 0) or 0) > math.min(10000, lease_ms / 4)
end
