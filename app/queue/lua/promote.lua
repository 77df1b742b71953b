-- Makes due jobs pending: scheduled ones, and failed ones whose retry is due.
--
-- ARGV  limit, head start ms
-- Returns how many moved, and in how many ms the next is due (-1: nothing waits).

local function promote(argv)
  local limit, head_start_ms = tonumber(argv[1]), tonumber(argv[2])
  local now = now_ms()
  local moved = 0
  for _, status in ipairs({ "scheduled", "failed" }) do
    local ids = redis.call(
      "ZRANGEBYSCORE", PLACE[status], "-inf", integer(now), "LIMIT", 0, limit - moved)
    load(ids)
    for _, id in ipairs(ids) do
      local record = RECORDS[id]
      if record and record.status == status then
        leave(record)
        -- The job counts as ready from when it was due, however late this call comes.
        record.ready_at = record.run_at
        record.run_at = nil
        make_pending(record, head_start_ms)
        count(status == "failed" and "retried" or "promoted", record.job_type)
        moved = moved + 1
      else
        remove(PLACE[status], id)
      end
    end
  end
  flush(now)
  if moved > 0 then
    wake()
  end
  redis.call("HSET", META, "promoted_at", integer(now))

  local next_due_ms = -1
  for _, status in ipairs({ "scheduled", "failed" }) do
    local first = redis.call("ZRANGE", PLACE[status], 0, 0, "WITHSCORES")[2]
    if first then
      local wait_ms = math.max(0, tonumber(first) - now)
      if next_due_ms < 0 or wait_ms < next_due_ms then
        next_due_ms = wait_ms
      end
    end
  end
  return { moved, next_due_ms }
end
