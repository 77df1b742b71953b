-- The sets that a page is made of, in the order of its sort. A part of `page`, `slice`, `ranks`.
--
-- Jobs of one group have the same value of the sort's field and are ordered by the scores of the
-- group's sets, whichever of them they are in. In a group that is not `scored`, scores are ids; in
-- one with a `unit`, scores are a value times the unit, and the id.
--
-- Takes status, job type, priority ("" for any), sort, whether it descends
-- Returns a list of { value, size, scored, unit, keys, sizes, statuses }; the last three go by set.

local TIE_MAX = 500 -- jobs of equal score that are put in order of ids, see `window`

-- The values of the groups with and without the time that is sorted by. Jobs without it come last
-- whatever the direction.
local function timed_values(descending)
  if descending then
    return 1, 0
  end
  return 0, 1
end

-- Not `<`: on text it follows the server's locale.
local function is_before(a, b)
  if type(a) == "number" then
    return a < b
  end
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

local function groups(status, job_type, priority, sort, descending)
  local by_value, values = {}, {}

  local function put(value, scored, key, size, bucket_status)
    local group = by_value[value]
    if not group then
      group = { value = value, size = 0, scored = scored, keys = {}, sizes = {}, statuses = {} }
      by_value[value] = group
      values[#values + 1] = value
    end
    local i = #group.keys + 1
    group.keys[i], group.sizes[i], group.statuses[i] = key, size, bucket_status
    group.size = group.size + size
  end

  local timed_value, untimed_value = timed_values(descending)

  buckets(status, job_type, priority, function(name, size, s, t, p, stage)
    local timed_key
    if sort == "picked_at" and stage ~= "0" then
      timed_key = PREFIX .. "Picked:" .. name
    elseif sort == "completed_at" and FINAL[s] then
      timed_key = PREFIX .. "Completed:" .. name
    end
    if timed_key then
      put(timed_value, true, timed_key, size, s)
      return
    end
    local value, key, scored = untimed_value, PREFIX .. "Index:" .. name, false
    if sort == "status" then
      value = s
    elseif sort == "job_type" then
      value = t
    elseif sort == "priority" then
      value = p
    elseif sort == "retry_count" then
      -- Those with retries are one group: the scores have the number above the id.
      value = 0
      if stage == "2" then
        value, key, scored = 1, PREFIX .. "Retries:" .. name, true
      end
    end
    put(value, scored, key, size, s)
    by_value[value].unit = scored and RETRIES_UNIT or nil
  end)

  table.sort(values, function(a, b)
    if descending then
      return is_before(b, a)
    end
    return is_before(a, b)
  end)
  local ordered = {}
  for i, value in ipairs(values) do
    ordered[i] = by_value[value]
  end
  return ordered
end
