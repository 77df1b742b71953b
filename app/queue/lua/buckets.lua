-- Walks the buckets that match a filter and hold jobs. A part of `page`, `slice` and others.
--
-- Takes status, job type, priority ("" for any), and a function that is called for each bucket
-- with its name, how many jobs it holds, and the name's four parts.
local function buckets(status, job_type, priority, visit)
  local beginning = status == "" and "" or status .. ":"
  for _, name in ipairs(redis.call("SMEMBERS", PREFIX .. "Buckets")) do
    if string.sub(name, 1, #beginning) == beginning then
      -- A job type may hold a colon; the other parts can't.
      local s, t, p, stage = string.match(name, "^([^:]+):(.+):(%l+):([012])$")
      if s and (job_type == "" or t == job_type) and (priority == "" or p == priority) then
        local size = redis.call("ZCARD", PREFIX .. "Index:" .. name)
        if size > 0 then
          visit(name, size, s, t, p, stage)
        end
      end
    end
  end
end
