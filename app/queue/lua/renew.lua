-- A worker's heartbeat: extends the leases of the jobs in hand and says that the worker lives.
--
-- ARGV  worker, lease ms, what the worker says of itself (JSON; "" when it leaves, "-" when it says
--       nothing), then for each job: id, token, mark ("sending" records the point of no return,
--       "begun" that a job with a death behind it runs, else "")
-- Returns a verdict for each job ("ok", "cancel", "lost"), housekeeping due, work waits (1 or 0),
-- the mark of the shard's era.

local WORKER_MEMORY_MS = 900000

local function renew(argv)
  local worker, lease_ms, presence = argv[1], tonumber(argv[2]), argv[3]
  local now = now_ms()
  local ids, verdicts = {}, {}
  for at = 4, #argv, 3 do
    ids[#ids + 1] = argv[at]
  end
  load(ids)
  for at = 4, #argv, 3 do
    local id, token, mark = argv[at], argv[at + 1], argv[at + 2]
    local record = RECORDS[id]
    local verdict = "lost"
    if record and record.status == "processing" and record.token == token then
      verdict = record.cancel_requested and "cancel" or "ok"
      add(PLACE.processing, integer(now + lease_ms), id)
      if mark ~= "" and verdict == "ok" then
        record[mark] = true
        save(record)
      end
    end
    verdicts[#verdicts + 1] = verdict
  end
  flush(now)

  local workers = PREFIX .. "Workers"
  if presence == "" then
    redis.call("ZREM", workers, worker)
    redis.call("DEL", PREFIX .. "Worker:" .. worker)
  elseif presence ~= "-" then
    redis.call("ZADD", workers, integer(now), worker)
    redis.call("SET", PREFIX .. "Worker:" .. worker, presence, "PX", WORKER_MEMORY_MS)
    redis.call("ZREMRANGEBYSCORE", workers, "-inf", integer(now - WORKER_MEMORY_MS))
  end
  local meta = redis.call("HMGET", META, "paused", "promoted_at", "era")
  local work_waits = meta[1] ~= "1" and redis.call("EXISTS", PLACE.pending) == 1
  local due = housekeeping_due(now, lease_ms, meta[2])
  return { verdicts, due and 1 or 0, work_waits and 1 or 0, meta[3] or "0:1" }
end
