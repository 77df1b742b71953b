-- Forgets finished jobs that are older than wanted, or more than wanted, oldest first.
--
-- ARGV  limit, max age of a success in ms, max age of other final jobs in ms, max finished jobs
--       (0 each: no bound)
-- Returns how many jobs it forgot; as many as the limit when there may be more.

local function completed_sets()
  local sets = {}
  for _, bucket in ipairs(redis.call("SMEMBERS", PREFIX .. "Buckets")) do
    local status = string.match(bucket, "^([^:]+):")
    if redis.call("EXISTS", PREFIX .. "Index:" .. bucket) == 0 then
      redis.call("SREM", PREFIX .. "Buckets", bucket)
    elseif FINAL[status] then
      sets[#sets + 1] = { key = PREFIX .. "Completed:" .. bucket, status = status }
    end
  end
  return sets
end

-- The ids that completed first, over all sets; at most `wanted`.
local function oldest(sets, wanted)
  local ids, heads = {}, {}
  for i, set in ipairs(sets) do
    heads[i] = redis.call("ZRANGE", set.key, 0, wanted - 1, "WITHSCORES")
    set.at = 1
  end
  while #ids < wanted do
    local best
    for i, set in ipairs(sets) do
      local score = tonumber(heads[i][set.at + 1])
      if score and (not best or score < best.score) then
        best = { score = score, set = set, head = heads[i] }
      end
    end
    if not best then
      break
    end
    ids[#ids + 1] = best.head[best.set.at]
    best.set.at = best.set.at + 2
  end
  return ids
end

local function trim(argv)
  local limit = tonumber(argv[1])
  local success_ms, failed_ms, max_jobs = tonumber(argv[2]), tonumber(argv[3]), tonumber(argv[4])
  local now = now_ms()
  local sets = completed_sets()
  local ids, taken, finished = {}, {}, 0
  local function take(found, wanted)
    for _, id in ipairs(found) do
      if #ids < wanted and not taken[id] then
        taken[id] = true
        ids[#ids + 1] = id
      end
    end
  end
  for _, set in ipairs(sets) do
    local max_age_ms = set.status == "success" and success_ms or failed_ms
    finished = finished + redis.call("ZCARD", set.key)
    if max_age_ms > 0 and #ids < limit then
      take(redis.call(
        "ZRANGEBYSCORE", set.key, "-inf", integer(now - max_age_ms), "LIMIT", 0, limit - #ids),
        limit)
    end
  end
  local excess = math.min(limit, finished - max_jobs)
  if max_jobs > 0 and excess > #ids then
    -- Of the oldest `excess`, those not taken yet are at least as many as are still too many.
    take(oldest(sets, excess), excess)
  end

  load(ids)
  local trimmed = 0
  for _, id in ipairs(ids) do
    local record = RECORDS[id]
    if record and FINAL[record.status] then
      forget(record)
      count("trimmed", record.job_type)
      if record.status == "permanently_failed" then
        count("trimmed_permanently_failed", record.job_type)
      end
      trimmed = trimmed + 1
    end
  end
  flush(now)
  return trimmed
end
