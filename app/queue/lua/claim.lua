-- Hands the best ranked pending jobs to a worker. A step of `turn`.
--
-- The nonce is the token of every lease it makes: with the id it is unique. The same nonce again
-- hands out the same jobs again, as far as they are still held with it.
-- Returns the jobs' ids, and whether more wait.

local function claim(now, worker, nonce, wanted, lease_ms)
  local ids, more = {}, false
  local earlier = earlier_answer(nonce)
  if earlier then
    for id in string.gmatch(earlier, "[^,]+") do
      ids[#ids + 1] = id
    end
    load(ids)
  else
    local popped = redis.call("ZPOPMIN", PLACE.pending, wanted)
    for i = 1, #popped, 2 do
      ids[#ids + 1] = popped[i]
    end
    if #ids == 0 then
      return ids, false
    end
    load(ids, read_fresh)
    local lease_end, tail = integer(now + lease_ms), first_claimed_tail(now, worker, nonce)
    for _, id in ipairs(ids) do
      local record = RECORDS[id]
      if record and record.status == "pending" then
        unindex(record)
        measure("wait", now - (record.ready_at or record.created_at))
        record.status = "processing"
        record.picked_at = now
        record.worker = worker
        record.token = nonce
        record.attempts = (record.attempts or 0) + 1
        if record.sending then
          -- Only a lease that ran out leaves the mark: nobody can tell how that attempt ended.
          record.unconfirmed = true
          count("unconfirmed", record.job_type)
        end
        record.last_token, record.reaped_token, record.sending = nil, nil, nil
        enter(record, lease_end, record.head and record.head .. tail)
      end
    end
    -- After the lease the reaper has taken back what the worker never heard of.
    remember_answer(nonce, table.concat(ids, ","), integer(lease_ms))
    more = #ids == wanted and redis.call("EXISTS", PLACE.pending) == 1
    if more then
      wake()
    end
  end
  return ids, more
end

-- Record and payload of each of these jobs that the nonce holds, flat.
local function handed_out(ids, nonce)
  if #ids == 0 then
    return {}
  end
  local payloads = redis.call("HMGET", JOB_PAYLOAD, unpack(ids))
  local answer = {}
  for i, id in ipairs(ids) do
    local record = RECORDS[id]
    if record and record.status == "processing" and record.token == nonce then
      answer[#answer + 1] = WRITTEN[id]
      answer[#answer + 1] = payloads[i] or ""
    end
  end
  return answer
end
