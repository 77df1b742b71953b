-- What a page shows of some jobs. A part of `page` and `entries`.
--
-- Takes how many match in all, the ids on the page (text), whether to read payloads
-- Returns how many match, the records, their summaries, their payloads (or nothing).
local function rows(total, ids, with_payload)
  if #ids == 0 then
    return { total, {}, {}, {} }
  end
  local records = redis.call("HMGET", JOB_MAP, unpack(ids))
  local summaries = redis.call("HMGET", JOB_SUMMARY, unpack(ids))
  local payloads = with_payload and redis.call("HMGET", JOB_PAYLOAD, unpack(ids)) or {}
  return { total, records, summaries, payloads }
end
