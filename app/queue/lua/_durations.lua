-- How long jobs waited and ran, counted by upper bounds. `turn` alone measures.

-- The upper bounds of the counters of durations; what is above the last counts as "inf".
local BOUNDS_MS = {
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000,
  500000, 1000000, 2000000, 5000000, 10000000, 20000000, 50000000, 100000000,
}
local DURATIONS = { wait = {}, run = {} } -- name → ms → how many; many jobs of a call have the same

-- Counts a duration; `name` is "wait" (from ready to picked) or "run" (from picked to settled).
local function measure(name, ms)
  local counts = DURATIONS[name]
  counts[ms] = (counts[ms] or 0) + 1
end

local function bound_of(ms)
  for _, bound in ipairs(BOUNDS_MS) do
    if ms <= bound then
      return integer(bound)
    end
  end
  return "inf"
end

local function count_durations()
  for name, counts in pairs(DURATIONS) do
    for ms, times in pairs(counts) do
      count(name, bound_of(ms), times)
      if ms > 0 then
        count(name, "sum", ms * times)
      end
    end
    DURATIONS[name] = {}
  end
end
