-- What all scripts share, together with the other files `_…`: the loader puts in front of every verb
-- those of these declarations that it uses, because each takes time in every call.
--
-- KEYS  Job_map. It names the prefix of all other keys; on a cluster they share its slot.

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
