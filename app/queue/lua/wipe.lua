-- Empties the payloads of jobs that succeeded long ago: nothing runs them again. They keep all else.
--
-- ARGV  limit, how old at least, ms
-- Returns how many it emptied; as many as the limit, or more, when there may be more.

local function wipe(argv)
  local limit, age_ms = tonumber(argv[1]), tonumber(argv[2])
  local until_ms = integer(now_ms() - age_ms)
  local wiped = 0
  for _, bucket in ipairs(redis.call("SMEMBERS", PREFIX .. "Buckets")) do
    if wiped < limit and string.match(bucket, "^success:") then
      local key, mark = PREFIX .. "Completed:" .. bucket, "wiped:" .. bucket
      -- Jobs complete in order, so all up to the mark are done.
      local after = "(" .. (redis.call("HGET", META, mark) or "-inf")
      local found = redis.call(
        "ZRANGEBYSCORE", key, after, until_ms, "WITHSCORES", "LIMIT", 0, limit - wiped)
      local last = found[#found]
      -- All of the last millisecond: the mark knows no halves.
      for _, id in ipairs(last and redis.call("ZRANGEBYSCORE", key, last, last) or {}) do
        found[#found + 1] = id
        found[#found + 1] = last
      end
      local emptied = {}
      for i = 1, #found, 2 do
        if not emptied[found[i]] then
          emptied[found[i]] = true
          redis.call("HSET", JOB_PAYLOAD, found[i], "")
          wiped = wiped + 1
        end
      end
      if last then
        redis.call("HSET", META, mark, last)
      end
    end
  end
  return wiped
end
