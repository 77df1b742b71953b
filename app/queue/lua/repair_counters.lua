-- Re-checks what is counted: a counter that is no number would end every script that counts.
-- A part of `repair`.
--
-- Takes the key of a hash of counters

local function repair_numbers(key)
  local counters = redis.call("HGETALL", key)
  local found = {}
  for i = 1, #counters, 2 do
    local name, value = counters[i], counters[i + 1]
    if not string.match(value, "^%-?%d+$") or #value > 16 then
      mend("HSET", key, name, 0)
      say("counter " .. name .. " in " .. key .. " was no number; it is 0 now")
      value = 0
    end
    found[name] = tonumber(value)
  end
  return found
end

-- I6: submitted = stored + trimmed + deleted, of each job type. What is stored can be counted.
local function repair_submitted(counters)
  local stored = {}
  for name in pairs(counters) do
    local event, job_type = string.match(name, "^(%a+):(.+)$")
    if event == "submitted" or event == "trimmed" or event == "deleted" then
      stored[job_type] = 0
    end
  end
  for _, bucket in ipairs(redis.call("SMEMBERS", PREFIX .. "Buckets")) do
    local job_type = string.match(bucket, "^[^:]+:(.+):[^:]+:%d$")
    if job_type then
      local jobs = redis.call("ZCARD", PREFIX .. "Index:" .. bucket)
      stored[job_type] = (stored[job_type] or 0) + jobs
    end
  end
  for job_type, jobs in pairs(stored) do
    local function counted(event)
      return counters[event .. ":" .. job_type] or 0
    end
    local wanted = jobs + counted("trimmed") + counted("deleted")
    if counted("submitted") ~= wanted then
      mend("HSET", PREFIX .. "Stats", "submitted:" .. job_type, integer(wanted))
      say("counter submitted:" .. job_type .. " was " .. integer(counted("submitted"))
        .. "; it is " .. integer(wanted) .. " now")
    end
  end
end

-- A number that is given again would overwrite what has it.
local function repair_sequence(name, least, what)
  local key = PREFIX .. name
  local text = redis.call("GET", key)
  local is_number = not text or (string.match(text, "^%d+$") and #text < 16)
  if not is_number or tonumber(text or 0) < least then
    mend("SET", key, integer(least))
    say("the " .. what .. " counter was " .. (is_number and "behind" or "no number")
      .. "; it is " .. integer(least) .. " now")
  end
end

local function repair_counters(key)
  local counters = repair_numbers(key)
  if key == PREFIX .. "Stats" then
    repair_submitted(counters)
    local last = redis.call("ZREVRANGE", PREFIX .. "Operations", 0, -1)
    local highest = 0
    for _, id in ipairs(last) do
      highest = math.max(highest, tonumber(id) or 0)
    end
    repair_sequence("operation:id:counter", highest, "operation")
    local revision = redis.call("HGET", META, "revision")
    if revision and not string.match(revision, "^%d+$") then
      mend("HSET", META, "revision", 0)
      say("the revision was no number; it is 0 now")
    end
  end
end
