-- The two ends of a window of ranks in a group, or a little outside. A part of `page` and `slice`.
--
-- For a score x, `ZCOUNT` of every set, summed, tells how many jobs come before x. Such a look is
-- dear, so it goes where an estimate from a few sets says; where that leads nowhere, to the same
-- rank of the fullest set, and every fourth time halfway, so that it ends after 4 · 2 · 53 looks
-- at the worst. Usually two or three do.
--
-- Takes a group, and the first rank and the one after the last, counted upwards from 0
-- Returns four points, under and over the window's first rank, under and over its last. A point is
-- { x, below, of }: `below` jobs have a score under x, `of[i]` of set i. Between the first and the
-- last point lies the window, with at most SLACK (TIED_SLACK) jobs more, or with all jobs of equal
-- score.

-- About as many as it costs one more look to leave out.
local SLACK = 200
-- Times are shared by all jobs of one claim. To leave those out would take a look at each side.
local TIED_SLACK = 450
local LOOKS_MAX = 424
local BEYOND = 9007199254740992 -- above every id and time; 2^53, doubles are exact up to here

local function search(group, first, last)
  local keys = group.keys
  local slack = group.scored and TIED_SLACK or SLACK

  local start = { x = 0, below = 0, of = {} }
  local stop = { x = BEYOND, below = group.size, of = group.sizes }
  for i = 1, #keys do
    start.of[i] = 0
  end

  -- Nearest known points: under and over the window's first rank, under and over its last.
  local first_under, first_over, last_under, last_over = start, stop, start, stop

  local function look_at(x)
    local point = { x = x, below = 0, of = {} }
    local bound = "(" .. integer(x)
    for i = 1, #keys do
      local n = first_under.of[i]
      -- Else no job of this set lies between the ends.
      if n < last_over.of[i] then
        n = redis.call("ZCOUNT", keys[i], "-inf", bound)
      end
      point.of[i] = n
      point.below = point.below + n
    end
    if point.below > first then
      if x < first_over.x then
        first_over = point
      end
    elseif x > first_under.x then
      first_under = point
    end
    if point.below >= last then
      if x < last_over.x then
        last_over = point
      end
    elseif x > last_under.x then
      last_under = point
    end
  end

  -- The score at the same share of the fullest set between two points.
  local function guess_by_rank(under, over, target)
    local fullest, most = 1, 0
    for i = 1, #keys do
      local between = over.of[i] - under.of[i]
      if between > most then
        fullest, most = i, between
      end
    end
    local share = (target - under.below) / (over.below - under.below)
    local at = under.of[fullest] + math.min(math.floor(most * share), most - 1)
    return tonumber(redis.call("ZRANGE", keys[fullest], at, at, "WITHSCORES")[2])
  end

  local estimate_at, solve = estimate(group)

  -- The estimate, corrected by its error at the nearer of two known points.
  local function guess_by_estimate(under, over, target)
    local near = under
    if over.below - target < target - under.below then
      near = over
    end
    local distance = target - near.below
    local tolerance = math.max(group.scored and 60 or 8, math.abs(distance) / 64)
    return solve(under, over, estimate_at(near) + distance, tolerance)
  end

  local function guess(under, over, target, step)
    local x
    if step % 4 < 2 then
      x = guess_by_estimate(under, over, target)
    elseif step % 4 == 3 then
      x = math.floor((under.x + over.x) / 2)
    end
    x = x or guess_by_rank(under, over, target)
    return math.max(under.x + 1, math.min(x, over.x - 1))
  end

  -- How far beside the window to aim: a guess within it is worth little, and the further the known
  -- points are, the less sure is a guess.
  local function margin(one_way, other_way)
    local unsure = 1.5 * math.sqrt(math.min(one_way, other_way))
    return math.min(math.max(SLACK / 4, unsure), one_way / 2)
  end

  for step = 0, LOOKS_MAX do
    local excess_before = first - first_under.below
    local excess_after = last_over.below - last
    if excess_before + excess_after <= slack then
      break
    end
    -- Neighbouring scores with more between them than the slack: equal scores.
    local first_found = first_over.x - first_under.x <= 1
    local last_found = last_over.x - last_under.x <= 1
    if first_found and last_found then
      break
    end
    if last_found or (excess_before >= excess_after and not first_found) then
      local aim = first - margin(excess_before, first_over.below - first)
      look_at(guess(first_under, first_over, aim, step))
    else
      local aim = last + margin(excess_after, last - last_under.below)
      look_at(guess(last_under, last_over, aim, step))
    end
  end
  return first_under, first_over, last_under, last_over
end
