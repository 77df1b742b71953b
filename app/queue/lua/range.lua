-- The jobs whose ids lie in a range.
--
-- ARGV  the first id, the last (at most 1,000 ids)
-- Returns how many ids, and for each of them its record and summary, or nothing.
local function range(argv)
  local ids = {}
  for id = tonumber(argv[1]), tonumber(argv[2]) do
    ids[#ids + 1] = integer(id)
  end
  return rows(#ids, ids, false)
end
