-- Writes a job's record anew from what is left of it: the fields of its old record that can be
-- read, the sets it is in, its history. A part of `repair`.
--
-- Of several statuses the one furthest on is taken, so that nothing is done twice. A job whose
-- lease is lost counts as one that died after its point of no return: nobody knows better. One of
-- which only the payload is left is given up, where people see it.
--
-- Takes its id, the object that its old record was (or an empty one), head start ms, the time
-- Returns the record.

local FURTHEST_FIRST = {
  "success", "permanently_failed", "cancelled", "processing", "failed", "scheduled", "pending",
}

-- What the sets say: status, job type, priority, stage, the bucket's name.
local function traces_of(id)
  local found, steps = {}, {}
  for step, status in ipairs(FURTHEST_FIRST) do
    steps[status] = step
    if PLACE[status] and redis.call("ZSCORE", PLACE[status], id) then
      found[#found + 1] = { status = status, step = step + 0.5 }
    end
  end
  for _, bucket in ipairs(redis.call("SMEMBERS", PREFIX .. "Buckets")) do
    local status, job_type, priority, stage = string.match(bucket, "^(.-):(.+):(.-):(%d)$")
    for _, index in ipairs({ "Index:", "Completed:", "Picked:" }) do
      if steps[status] and redis.call("ZSCORE", PREFIX .. index .. bucket, id) then
        found[#found + 1] = {
          status = status, step = steps[status], bucket = bucket,
          job_type = job_type, priority = priority, stage = stage,
        }
        break
      end
    end
  end
  table.sort(found, function(a, b)
    return a.step < b.step
  end)
  return found
end

local function last_attempt(id)
  local history = redis.call("HGET", JOB_ATTEMPTS, id) or ""
  local decoded, attempt = pcall(cjson.decode, string.match(history, "[^\n]+$") or "")
  return decoded and type(attempt) == "table" and attempt or {}
end

local function salvage(id, old, head_start_ms, now)
  local record = {}
  for name, value in pairs(old) do
    local known, is = FIELD_TYPES[name], type(value)
    if type(name) == "string" and (known == is or not known and is ~= "table" and is ~= "userdata") then
      record[name] = value
    end
  end
  local traces = traces_of(id)
  local trace = traces[1] or { status = "permanently_failed" }
  local function score(index)
    return trace.bucket and tonumber(redis.call("ZSCORE", PREFIX .. index .. trace.bucket, id) or nil)
  end

  record.id = tonumber(id)
  if not is_status(record.status) then
    record.status = trace.status
  end
  local named = trace.job_type and trace or traces[2] or {}
  record.job_type = record.job_type or named.job_type or "unknown"
  if record.priority ~= "high" and record.priority ~= "low" then
    record.priority = named.priority == "high" and "high" or "low"
  end
  local last = last_attempt(id)
  record.picked_at = record.picked_at or score("Picked:") or tonumber(last.start)
  record.completed_at = record.completed_at or score("Completed:")
  local retries = math.floor((score("Retries:") or 0) / RETRIES_UNIT)
  record.retry_count = record.retry_count or math.max(retries, trace.stage == "2" and 1 or 0)
  record.attempts = record.attempts or tonumber(last.n)
  record.worker = record.worker or (type(last.worker) == "string" and last.worker or nil)
  local place = PLACE[record.status]
  local at = place and tonumber(redis.call("ZSCORE", place, id) or nil)
  if at and (record.status == "failed" or record.status == "scheduled") then
    record.run_at = record.run_at or at
  end
  if not record.created_at then
    -- The rank tells since when the job waited.
    local handicap = record.priority == "low" and head_start_ms or 0
    local ready_at = record.status == "pending" and at and math.floor(at) - handicap
    local known = ready_at and ready_at > 0 and ready_at or now
    record.created_at = math.min(known, record.picked_at or now, record.completed_at or now, now)
  end
  if record.status == "processing" and not record.token then
    record.sending = true
  end
  if #traces == 0 and not is_status(old.status) then
    record.last_error = "repair: nothing but the payload was left of this job"
  end
  record.salvaged = true
  return record
end
