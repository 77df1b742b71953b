-- Since when the pending job that has waited longest has been ready.
--
-- Returns milliseconds since the epoch as text, or nil when none is pending.
--
-- When the head of the queue is a low-priority job, it is the one: a high-priority job that had
-- waited as long would stand before it. Else a low-priority job behind it may have waited longer;
-- of each bucket the oldest job stands for all.
local function oldest()
  local ids = redis.call("ZRANGE", PLACE.pending, 0, 0)
  buckets("pending", "", "", function(name)
    ids[#ids + 1] = redis.call("ZRANGE", PREFIX .. "Index:" .. name, 0, 0)[1]
  end)
  local least
  load(ids)
  for _, id in ipairs(ids) do
    local record = RECORDS[id]
    local ready_ms = record and (record.ready_at or record.created_at)
    if ready_ms and (not least or ready_ms < least) then
      least = ready_ms
    end
  end
  return least and integer(least)
end
