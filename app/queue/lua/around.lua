-- What lies between two ranks of a group or a little outside, set after set: not put in order,
-- because Redis does nothing else meanwhile, and the caller sorts faster. A part of `slice`.
--
-- Takes a group, and the first rank and the one after the last, counted upwards from 0
-- Returns ids, or ids and scores in turn of a scored group; how many jobs come before these, and
-- before their end. Nothing where `window` leaves a tie out of order, which only itself can tell.
local function around(group, first, last)
  local under, _, _, over = search(group, first, last)
  if over.below - under.below > last - first + TIE_MAX then
    return nil
  end
  local options = group.scored and { "WITHSCORES" } or {}
  local all_found, times = {}, {}
  for i, key in ipairs(group.keys) do
    if under.of[i] < over.of[i] then
      local found = redis.call("ZRANGE", key, under.of[i], over.of[i] - 1, unpack(options))
      for j = 1, #found do
        all_found[#all_found + 1] = found[j]
      end
      for j = 2, group.scored and #found or 0, 2 do
        local many = (times[found[j]] or 0) + 1
        if many > TIE_MAX then
          return nil
        end
        times[found[j]] = many
      end
    end
  end
  return all_found, under.below, over.below
end
