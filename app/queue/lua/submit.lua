-- Takes new jobs in. A known idempotency key answers its job again, or a conflict.
--
-- ARGV  nonce, head start ms, idempotency seconds, "1" to make jobs searchable, then for each job:
--       type, priority, payload, due ("" | "+<ms from now>" | "<ms since the epoch>"), max retries
--       or "", tags (comma-joined), idempotency digest or "", fingerprint, summary or "", request id or ""
-- Returns the time, ms, and for each job its id; "=<id>" for a known key; "!<id>" for a known key
-- of other content.

local function submit(argv)
  local nonce, head_start_ms, idempotency_s = argv[1], tonumber(argv[2]), argv[3]
  local searchable = argv[4] == "1"
  local earlier = earlier_answer(nonce)
  if earlier then
    local answers = {}
    for answer in string.gmatch(earlier, "[^,]+") do
      answers[#answers + 1] = answer
    end
    -- A write, so that a WAIT after it speaks of what the earlier call wrote.
    remember_answer(nonce, earlier)
    return answers
  end

  local now = now_ms()
  local answers, payloads, summaries = { integer(now) }, {}, {}
  local some_pending = false
  for at = 5, #argv, 10 do
    local job_type, priority, payload, due = argv[at], argv[at + 1], argv[at + 2], argv[at + 3]
    local max_retries, tags = argv[at + 4], argv[at + 5]
    local digest, fingerprint, summary = argv[at + 6], argv[at + 7], argv[at + 8]
    local request_id = argv[at + 9]

    local known = digest ~= "" and redis.call("GET", PREFIX .. "Idem:" .. digest)
    if known then
      local id, same = string.match(known, "^(%d+)|(.*)$")
      answers[#answers + 1] = (same == fingerprint and "=" or "!") .. id
    else
      local id = integer(redis.call("INCR", PREFIX .. "query:id:counter"))
      local record = {
        id = tonumber(id),
        job_type = job_type,
        priority = priority,
        created_at = now,
        retry_count = 0,
        max_retries = tonumber(max_retries),
        tags = tags ~= "" and tags or nil,
        request_id = request_id ~= "" and request_id or nil,
      }
      keep(id, record)
      local due_ms = string.sub(due, 1, 1) == "+" and now + tonumber(string.sub(due, 2))
        or tonumber(due) or now
      if due_ms > now then
        make_wait(record, "scheduled", due_ms)
      else
        make_pending(record, head_start_ms)
        some_pending = true
      end
      payloads[#payloads + 1] = id
      payloads[#payloads + 1] = payload
      for tag in string.gmatch(tags, "[^,]+") do
        add(PREFIX .. "Tag:" .. tag, id, id)
        TAGS[tag] = true
      end
      if summary ~= "" then
        summaries[#summaries + 1] = id
        summaries[#summaries + 1] = summary
        for _, entry in ipairs(searchable and find_entries(id, summary) or {}) do
          add(FIND, 0, entry)
        end
      end
      if digest ~= "" then
        redis.call("SET", PREFIX .. "Idem:" .. digest, id .. "|" .. fingerprint, "EX", idempotency_s)
      end
      count("submitted", job_type)
      answers[#answers + 1] = id
    end
  end
  call_in_steps("HSET", JOB_PAYLOAD, payloads)
  call_in_steps("HSET", JOB_SUMMARY, summaries)
  flush(now)
  if some_pending then
    wake()
  end
  remember_answer(nonce, table.concat(answers, ","))
  return answers
end
