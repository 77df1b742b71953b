-- About how many jobs of a group come before a score, from a few of its sets. A part of `page`,
-- `slice`.
--
-- A look at all sets is dear (there may be hundreds), and this finds where to look. The sample is
-- the fullest set of each status, since a status says most about a job's age, and all large sets;
-- it speaks for the others of its status in proportion. An estimate is only ever a guess.
--
-- Takes a group, as `groups` makes it
-- Returns two functions: `at(point)` estimates how many jobs come before a point, and
-- `solve(under, over, wanted, tolerance)` finds a score between two points with that estimate, or
-- nil.

local LARGE_SHARE = 1 / 24
local SOLVE_STEPS_MAX = 40

local function estimate(group)
  local fullest, total, sampled, is_sampled = {}, {}, {}, {}
  for i, size in ipairs(group.sizes) do
    local status = group.statuses[i]
    total[status] = (total[status] or 0) + size
    if not fullest[status] or size > group.sizes[fullest[status]] then
      fullest[status] = i
    end
    is_sampled[i] = size >= group.size * LARGE_SHARE
  end
  for _, i in pairs(fullest) do
    is_sampled[i] = true
  end
  local sample = {}
  for i in ipairs(group.sizes) do
    if is_sampled[i] then
      local status = group.statuses[i]
      sample[#sample + 1] = i
      sampled[status] = (sampled[status] or 0) + group.sizes[i]
    end
  end

  local function sum(count_of)
    local estimated = 0
    for _, i in ipairs(sample) do
      local status = group.statuses[i]
      estimated = estimated + count_of(i) * total[status] / sampled[status]
    end
    return estimated
  end

  local function at(point)
    return sum(function(i)
      return point.of[i]
    end)
  end

  local function before(x)
    local bound = "(" .. integer(x)
    return sum(function(i)
      return redis.call("ZCOUNT", group.keys[i], "-inf", bound)
    end)
  end

  -- The first and last score in the sample.
  local least, greatest
  local function find_ends()
    for _, i in ipairs(sample) do
      local low = tonumber(redis.call("ZRANGE", group.keys[i], 0, 0, "WITHSCORES")[2])
      local high = tonumber(redis.call("ZRANGE", group.keys[i], -1, -1, "WITHSCORES")[2])
      least, greatest = math.min(least or low, low), math.max(greatest or high, high)
    end
  end

  -- Scores made of a value and an id lie in clusters with vast gaps, which interpolation does not
  -- see. Returns the beginning of a value between two scores, or nil and the end of their ids.
  local last_id
  local function between_values(low_x, high_x)
    local lowest, highest = math.floor(low_x / group.unit), math.floor((high_x - 1) / group.unit)
    if lowest < highest then
      return group.unit * math.ceil((lowest + highest) / 2)
    end
    last_id = last_id or tonumber(redis.call("GET", PREFIX .. "query:id:counter") or 0)
    return nil, group.unit * lowest + last_id + 1
  end

  local function solve(under, over, wanted, tolerance)
    if not least then
      find_ends()
    end
    local low_x, high_x = math.max(under.x, least), math.min(over.x, greatest + 1)
    local low, high = at(under), at(over)
    if wanted < low or wanted > high or low == high then
      return nil
    end
    local halve = false
    for _ = 1, SOLVE_STEPS_MAX do
      local x, ids_end
      if group.unit then
        x, ids_end = between_values(low_x, high_x)
        high_x = math.min(high_x, ids_end or high_x)
      end
      local width = high_x - low_x
      if width <= 1 then
        return low_x
      end
      local share = halve and 0.5 or (wanted - low) / (high - low)
      x = x or low_x + math.max(1, math.min(math.floor(width * share), width - 1))
      local found = before(x)
      if math.abs(found - wanted) <= tolerance then
        return x
      end
      if found < wanted then
        low_x, low = x, found
      else
        high_x, high = x, found
      end
      -- Interpolation that gains little is in uneven ground.
      halve = not halve and high_x - low_x > width / 2
    end
    return low_x
  end

  return at, solve
end
