-- A worker's round trip: settles what it finished, then claims what it has room for.
--
-- ARGV  worker, nonce, wanted, lease ms, head start ms, then for each outcome: verb, id, token,
--       result, detail
-- Below zero wanted: what the nonce holds, and nothing new.
-- Returns verdicts, claimed (record, payload, …), paused, housekeeping due, more wait (1 or 0 each),
-- the mark of the shard's era.

local function turn(argv)
  local worker, nonce, wanted = argv[1], argv[2], tonumber(argv[3])
  local lease_ms, head_start_ms = tonumber(argv[4]), tonumber(argv[5])
  local now = now_ms()
  local settle = { complete = complete, fail = fail, release = release }

  local completed, others, verdicts = {}, {}, {}
  for at = 6, #argv, 5 do
    local ids = argv[at] == "complete" and completed or others
    ids[#ids + 1] = argv[at + 1]
  end
  load(others) -- first: a job that also has another outcome here needs its whole record
  load(completed, read_first_claimed)
  for at = 6, #argv, 5 do
    local verb, id, token = argv[at], argv[at + 1], argv[at + 2]
    verdicts[#verdicts + 1] =
      settle[verb](now, id, token, argv[at + 3], argv[at + 4], head_start_ms)
  end
  -- What was given back can be claimed at once, and what was completed late can't.
  if ADDS[PLACE.pending] or REMOVES[PLACE.pending] then
    flush(now)
  end

  local meta = redis.call("HMGET", META, "paused", "promoted_at", "era")
  local paused = meta[1] == "1"
  local claimed, more = {}, false
  if wanted ~= 0 then
    -- A pause does not take back what this nonce holds: a call sent again must find it.
    claimed, more = claim(now, worker, nonce, paused and 0 or math.max(0, wanted), lease_ms)
  end
  count_durations()
  flush(now, true)
  local due = housekeeping_due(now, lease_ms, meta[2])
  return {
    verdicts, handed_out(claimed, nonce), paused and 1 or 0, due and 1 or 0, more and 1 or 0,
    meta[3] or "0:1",
  }
end
