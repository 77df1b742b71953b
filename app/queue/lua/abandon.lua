-- Ends a lease now, because the process that ran the job died: the reaper will count the death.
--
-- ARGV  id, token
-- Returns "ok" or "lost".

local function abandon(argv)
  local id, token = argv[1], argv[2]
  local record = load_one(id)
  if not record or record.status ~= "processing" or record.token ~= token then
    return "lost"
  end
  local now = now_ms()
  add(PLACE.processing, integer(now), id)
  flush(now)
  wake_due()
  return "ok"
end
