-- Takes back jobs whose lease ran out: their worker died, or is cut off.
--
-- A death is counted apart from failed attempts; the `max_deaths`-th ends the job as poison. After
-- the first one a job runs in a process of its own. Where its worker died before the job was begun
-- there, the job can't be to blame, and is not charged.
-- After Redis or the reaper was away, or the clock jumped, live workers had no chance to renew:
-- then it first waits one lease. Renewals come every quarter of a lease, so a shorter gap leaves
-- them half a lease.
--
-- ARGV  limit, lease ms, max deaths, head start ms
-- Returns requeued ids, poisoned ids, held (1 or 0).

local function reap(argv)
  local limit, lease_ms = tonumber(argv[1]), tonumber(argv[2])
  local max_deaths, head_start_ms = tonumber(argv[3]), tonumber(argv[4])
  local now = now_ms()
  local meta = redis.call("HMGET", META, "reaped_at", "hold_until")
  local reaped_at, hold_until = tonumber(meta[1] or now) or now, tonumber(meta[2] or 0) or 0
  local gap_ms = now - reaped_at
  redis.call("HSET", META, "reaped_at", integer(now))
  if gap_ms > lease_ms / 2 or gap_ms < 0 then
    hold_until = now + lease_ms
    redis.call("HSET", META, "hold_until", integer(hold_until))
  end
  if now < hold_until then
    return { {}, {}, 1 }
  end

  local requeued, poisoned = {}, {}
  local ids = redis.call(
    "ZRANGEBYSCORE", PLACE.processing, "-inf", integer(now), "LIMIT", 0, limit)
  load(ids)
  for _, id in ipairs(ids) do
    local record = RECORDS[id]
    if not record or record.status ~= "processing" then
      remove(PLACE.processing, id)
    else
      leave(record)
      local deaths = record.deaths or 0
      local charged = deaths == 0 or record.begun or record.sending
      if charged then
        record.deaths = deaths + 1
        note_attempt(record, now, "died", "The lease ran out: the worker died or was cut off.")
        count("died", record.job_type)
      else
        note_attempt(record, now, "released", "The lease ran out before the job was begun.")
        count("released", record.job_type)
      end
      record.reaped_token = record.token
      record.token, record.begun = nil, nil
      if charged and record.deaths >= max_deaths then
        record.last_error = "poison: its worker died " .. integer(record.deaths) .. " times"
        if record.sending or record.unconfirmed then
          record.last_error = record.last_error .. "; its work was perhaps done"
        end
        make_final(record, "permanently_failed", now)
        count("permanently_failed", record.job_type)
        poisoned[#poisoned + 1] = id
      elseif record.cancel_requested then
        make_final(record, "cancelled", now)
        count("cancelled", record.job_type)
      else
        make_pending(record, head_start_ms)
        requeued[#requeued + 1] = id
      end
    end
  end
  flush(now)
  if #requeued > 0 then
    wake()
  end
  return { requeued, poisoned, 0 }
end
