-- One page of the jobs that a tag or an address leads to, by id, exact at any offset.
--
-- ARGV  "tag" or "find"; the tag, or how the entries of `Find` begin (to the NUL); "1" for
--       descending; offset; limit; "1" to read payloads too
-- Returns how many there are, the records on the page, their summaries, their payloads.
local function entries(argv)
  local kind, name, descending = argv[1], argv[2], argv[3] == "1"
  local offset, limit, with_payload = tonumber(argv[4]), tonumber(argv[5]), argv[6] == "1"

  local key, first, total = FIND, 0, nil
  if kind == "tag" then
    key = PREFIX .. "Tag:" .. name
    total = redis.call("ZCARD", key)
  else
    -- Ranks instead of LIMIT, which would walk to the offset.
    first = redis.call("ZLEXCOUNT", key, "-", "(" .. name)
    total = redis.call("ZLEXCOUNT", key, "[" .. name, "(" .. name .. "\255")
  end
  local last = math.min(offset + limit, total) - 1
  if last < offset then
    return rows(total, {}, with_payload)
  end
  local found
  if descending then
    found = redis.call("ZRANGE", key, first + total - 1 - last, first + total - 1 - offset)
  else
    found = redis.call("ZRANGE", key, first + offset, first + last)
  end
  local ids = {}
  for i = 1, #found do
    local text = found[descending and #found + 1 - i or i]
    ids[i] = kind == "tag" and text or integer(tonumber(string.sub(text, -12), 16))
  end
  return rows(total, ids, with_payload)
end
