-- How many jobs of one shard come before jobs of other shards, in the order of a sort.
--
-- ARGV  as `ordered` takes them; then for each job the value sorted by, its id, and "1" when ties
--       come before it, else "0": see `before`
-- Returns how many for each job.
local function ranks(argv)
  local rank_of, answers = before(argv, ordered(argv)), {}
  for i = 8, #argv, 3 do
    answers[#answers + 1] = rank_of(argv[i], tonumber(argv[i + 1]), argv[i + 2] == "1")
  end
  return answers
end
