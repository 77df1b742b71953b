-- How many jobs there are of each status.
--
-- ARGV  job type, priority; "" for any
-- Returns status, count, status, count, … for the statuses that have jobs.
local function counts(argv)
  local sums = {}
  buckets("", argv[1], argv[2], function(_, size, status)
    sums[status] = (sums[status] or 0) + size
  end)
  local answer = {}
  for status, sum in pairs(sums) do
    answer[#answer + 1] = status
    answer[#answer + 1] = sum
  end
  return answer
end
