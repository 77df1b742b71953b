-- Lets a job through its rate limits, or tells it how long to wait. It needs all of them.
--
-- GCRA (ATM Forum TM 4.1, 4.4.4.2) without a burst: one job in each interval. A job that must wait
-- gets a slot: whoever comes later gets a later one, so it is not overtaken and waits once. What
-- comes late for its slot still goes as soon as the interval allows. Asking twice costs a job that
-- was let through another slot, and no more.
--
-- ARGV  job id, then for each limit: name, interval ms
-- Returns 0, or how many ms to wait.

-- How late a job may come for its slot without moving all slots after it. At least an interval.
local LATE_FOR_FREE_MS = 20
-- How long those that are late count as on their way; cancelled jobs never come.
local ON_THE_WAY_MS = 5000
-- How long a slot outlasts its time. A job with several limits comes when the last lets it.
local SLOT_MEMORY_MS = 3600000
-- Beyond its time it means nothing, and need not be swept up at once.
local NEXT_MEMORY_MS = 60000

local function thousandths(ms)
  return string.format("%.3f", ms)
end

local function rate_limit(now, id, name, interval_ms)
  local key, next_key = PREFIX .. "Rate:" .. name, PREFIX .. "Rate:next:" .. name
  local next_ms = tonumber(redis.call("GET", next_key) or 0)
  local slot = tonumber(redis.call("ZSCORE", key, id) or nil)
  local ready_ms = math.max(now, next_ms)
  if slot and slot > now then
    ready_ms = math.max(slot, next_ms)
  elseif slot then
    if ready_ms > now then
      local before = redis.call("ZCOUNT", key, integer(now - ON_THE_WAY_MS), "(" .. thousandths(slot))
      ready_ms = ready_ms + before * interval_ms
    end
  else
    local late = redis.call("ZCOUNT", key, integer(now - ON_THE_WAY_MS), integer(now))
    local last = redis.call("ZRANGE", key, -1, -1, "WITHSCORES")[2]
    ready_ms = math.max(ready_ms + late * interval_ms, last and last + interval_ms or 0)
  end
  return {
    key = key, next_key = next_key, next_ms = next_ms, interval_ms = interval_ms, slot = slot,
    ready_ms = ready_ms,
  }
end

local function let_through(now, id, limit)
  local allowance_ms = limit.slot and math.max(limit.interval_ms, LATE_FOR_FREE_MS) or 0
  local next_ms = math.max(limit.next_ms, now - allowance_ms) + limit.interval_ms
  local memory_ms = math.ceil(next_ms - now) + NEXT_MEMORY_MS
  redis.call("SET", limit.next_key, thousandths(next_ms), "PX", integer(memory_ms))
  redis.call("ZREM", limit.key, id)
end

local function reserve(now, id, limit)
  redis.call("ZREMRANGEBYSCORE", limit.key, "-inf", integer(now - SLOT_MEMORY_MS))
  redis.call("ZADD", limit.key, thousandths(limit.ready_ms), id)
  local last = redis.call("ZRANGE", limit.key, -1, -1, "WITHSCORES")[2]
  redis.call("PEXPIRE", limit.key, integer(math.ceil(last - now) + SLOT_MEMORY_MS))
end

local function take(argv)
  local id, now = argv[1], now_ms()
  local limits, wait_ms = {}, 0
  for at = 2, #argv, 2 do
    local limit = rate_limit(now, id, argv[at], tonumber(argv[at + 1]))
    limits[#limits + 1] = limit
    wait_ms = math.max(wait_ms, math.ceil(limit.ready_ms - now))
  end
  for _, limit in ipairs(limits) do
    if wait_ms == 0 then
      let_through(now, id, limit)
    elseif not limit.slot and limit.ready_ms > now then
      reserve(now, id, limit)
    end
  end
  return wait_ms
end
