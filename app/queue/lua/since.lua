-- Where a time of creation stands among the ids of one shard. A part of `ranks` and
-- `slice`.
--
-- Within a shard ids are in order of creation (`submit` sees to it), and no index has the times, so
-- this looks at records.
-- Ids that are gone, or another shard's, are passed over, so that each look narrows the search,
-- whatever the holes; a guess is interpolated, and every third time halfway.
--
-- Takes a function that finds the first job that counts between an id and the one after the last, or
-- nil; milliseconds; an id
-- Returns the least id of which all jobs with a lesser one come before (milliseconds, id).

local NEIGHBOURS = { 8, 56 } -- so many ids are read at once; others are other shards', or gone
local CREATED_LOOKS_MAX = 200

local function created_at(text)
  return tonumber(string.match(text, '"created_at":(%d+)') or 0)
end

local function since(first_between, ms, id)
  -- Every job under `low` comes before, none from `high` on.
  local low, high = 0, tonumber(redis.call("GET", PREFIX .. "query:id:counter") or 0) + 1
  local low_ms, high_ms

  -- The next job from an id on, and when it was created; nil when there is none under `high`.
  local function next_job(x)
    local from = x
    for _, many in ipairs(NEIGHBOURS) do
      local ids = {}
      for i = from, math.min(from + many, high) - 1 do
        ids[#ids + 1] = integer(i)
      end
      local texts = #ids > 0 and redis.call("HMGET", JOB_MAP, unpack(ids)) or {}
      for i = 1, #ids do
        if texts[i] then
          return from + i - 1, created_at(texts[i])
        end
      end
      from = from + many
    end
    local next_id = from < high and first_between(from, high)
    if next_id then
      return next_id, created_at(redis.call("HGET", JOB_MAP, integer(next_id)) or "")
    end
  end

  local function look_at(x)
    local found, found_ms = next_job(x)
    if found and (found_ms < ms or (found_ms == ms and found < id)) then
      low, low_ms = found + 1, found_ms
    else
      high, high_ms = x, found_ms or high_ms
    end
  end

  local function guess(step)
    if step % 3 == 0 or not low_ms or not high_ms or low_ms >= high_ms then
      return math.floor((low + high) / 2)
    end
    local share = (ms - low_ms) / (high_ms - low_ms)
    return math.max(low, math.min(math.floor(low + share * (high - low)), high - 1))
  end

  for step = 1, CREATED_LOOKS_MAX do
    if low >= high then
      break
    end
    look_at(guess(step))
  end
  return low
end
