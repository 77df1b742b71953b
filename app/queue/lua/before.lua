-- How many jobs of one shard come before a job of another, in the order of a sort. A part of `ranks`
-- and `slice`.
--
-- Takes what `ordered` takes, and the groups that it makes
-- Returns a function that takes the value sorted by ("" where the job has none), its id, and whether
-- jobs of this shard that stand in a tie out of order with it (see `window`) come before it in rising
-- order; there need not be such a job. It returns how many.
local function before(argv, all)
  local sort, descending = argv[6], argv[7] == "1"
  local timed_value, untimed_value = timed_values(descending)
  local is_text = sort == "status" or sort == "job_type" or sort == "priority"

  local function count(group, low, high)
    local sum = 0
    for _, key in ipairs(group.keys) do
      sum = sum + redis.call("ZCOUNT", key, low, high)
    end
    return sum
  end

  local function under_id(group, id)
    if group.entries then
      local low, high = "[" .. group.entries, "(" .. group.entries .. string.format("%012x", id)
      return redis.call("ZLEXCOUNT", FIND, low, high)
    end
    return count(group, "-inf", "(" .. integer(id))
  end

  local function first_between(group, low, high)
    if group.entries then
      local found = redis.call(
        "ZRANGEBYLEX", FIND, "[" .. group.entries .. string.format("%012x", low),
        "(" .. group.entries .. string.format("%012x", high), "LIMIT", 0, 1)[1]
      return found and tonumber(string.sub(found, -12), 16)
    end
    local least
    for _, key in ipairs(group.keys) do
      local found = tonumber(redis.call(
        "ZRANGEBYSCORE", key, integer(low), "(" .. integer(high), "LIMIT", 0, 1)[1])
      if found and (not least or found < least) then
        least = found
      end
    end
    return least
  end

  local function under_time(group, ms, id, ties_before)
    local score = integer(ms)
    local under = count(group, "-inf", "(" .. score)
    if id == 0 and not ties_before then
      return under -- it stands before all of that time
    end
    local tied = count(group, score, score)
    if tied > TIE_MAX then
      return under + (ties_before and tied or 0)
    end
    if tied > 0 then
      for _, key in ipairs(group.keys) do
        for _, other in ipairs(redis.call("ZRANGEBYSCORE", key, score, score)) do
          if tonumber(other) < id then
            under = under + 1
          end
        end
      end
    end
    return under
  end

  -- The value of the group that such a job belongs to.
  local function group_value(value)
    if is_text then
      return value
    elseif sort == "retry_count" then
      return value == "0" and 0 or 1
    elseif sort == "picked_at" or sort == "completed_at" then
      return value == "" and untimed_value or timed_value
    end
    return all[1].value
  end

  -- Counted upwards, whatever the direction.
  local function under(group, value, id, ties_before)
    if sort == "created_at" then
      local function between(low, high)
        return first_between(group, low, high)
      end
      return under_id(group, since(between, tonumber(value), id))
    elseif group.unit then
      return count(group, "-inf", "(" .. integer(tonumber(value) * group.unit + id))
    elseif group.scored then
      return under_time(group, tonumber(value), id, ties_before)
    end
    return under_id(group, id)
  end

  return function(value, id, ties_before)
    local found = 0
    for _, group in ipairs(all) do
      local wanted = group_value(value)
      if group.value == wanted then
        local lower = under(group, value, id, ties_before)
        found = found + (descending and group.size - lower or lower)
      elseif is_before(group.value, wanted) ~= descending then
        found = found + group.size
      end
    end
    return found
  end
end
