-- One page of the jobs that match a filter, exact at any offset.
--
-- ARGV  status, job type, priority ("" for any); sort; "1" for descending; offset; limit; "1" to
--       read payloads too
-- Returns how many match, the records on the page, their summaries, their payloads (or nothing).
local function page(argv)
  local status, job_type, priority, sort = argv[1], argv[2], argv[3], argv[4]
  local descending = argv[5] == "1"
  local offset, limit = tonumber(argv[6]), tonumber(argv[7])
  local with_payload = argv[8] == "1"

  if (sort == "id" or sort == "created_at") and status .. job_type .. priority == "" then
    local total, ids = by_ids(descending, offset, limit)
    if total then
      return rows(total, ids, with_payload)
    end
  end

  local ordered = groups(status, job_type, priority, sort, descending)

  -- A rank counts from the page's end of a group; `window` counts upwards.
  local function ids_of(group, first, last)
    if not descending then
      return window(group, first, last)
    end
    local upwards, ids = window(group, group.size - last, group.size - first), {}
    for i = #upwards, 1, -1 do
      ids[#ids + 1] = upwards[i]
    end
    return ids
  end

  local ids, total = {}, 0
  for _, group in ipairs(ordered) do
    local first = math.max(offset - total, 0)
    local last = math.min(offset + limit - total, group.size)
    if first < last then
      for _, id in ipairs(ids_of(group, first, last)) do
        ids[#ids + 1] = integer(id)
      end
    end
    total = total + group.size
  end

  return rows(total, ids, with_payload)
end
