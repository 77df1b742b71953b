-- Takes new jobs in. A known idempotency key answers its job again, or a conflict.
--
-- ARGV  nonce, head start ms, idempotency seconds, "1" to make jobs searchable, the mark of the era
--       that the caller knows ("<first id>:<shards>"), this shard's number, then for each job:
--       type, priority, payload, due ("" | "+<ms from now>" | "<ms since the epoch>"), max retries
--       or "", tags (comma-joined), idempotency digest or "", fingerprint, summary or "", request id or ""
-- Returns the time, ms, and for each job its id; "=<id>" for a known key; "!<id>" for a known key
-- of other content. Nothing but "era" when the shard has another one: then no job was taken in.

local STEP_BACK_MAX_MS = 300000

-- When the jobs of this call are created, and from when their delays count. In a shard that rises with
-- the ids, as pages by it rely on: when the server's clock steps back, it stands still here until it
-- has caught up. If it was farther ahead, it was wrong, and no new job must stay wrong with it.
local function time_after(last_ms)
  local now = now_ms()
  return last_ms > now and last_ms - now <= STEP_BACK_MAX_MS and last_ms or now
end

-- Of several shards each gives the ids whose remainder is its number, and above those of the era
-- before. Returns by how much they rise.
local function step_of(era, number)
  if era == "0:1" then
    return 1 -- which spares a submission of one job half a percent
  end
  local first_id, shards = string.match(era, "^(%d+):(%d+)$")
  first_id, shards, number = tonumber(first_id), tonumber(shards), tonumber(number)
  if shards > 1 then
    local counter = PREFIX .. "query:id:counter"
    local last_id = tonumber(redis.call("GET", counter) or 0)
    local least = math.max(last_id, first_id + number)
    -- Where `repair` had to guess, it need not be one of this shard's.
    local aligned = least + (number - least) % shards
    if aligned ~= last_id then
      redis.call("SET", counter, integer(aligned))
    end
  end
  return shards
end

-- Returns idempotency digest → what it names ("<id>|<fingerprint>", false: nothing yet), and how many
-- of the jobs are new.
local function look_up_keys(argv)
  local known, new_jobs = {}, 0
  for at = 7, #argv, 10 do
    local digest = argv[at + 6]
    if digest == "" then
      new_jobs = new_jobs + 1
    elseif known[digest] == nil then
      known[digest] = redis.call("GET", PREFIX .. "Idem:" .. digest)
      new_jobs = new_jobs + (known[digest] and 0 or 1)
    end
  end
  return known, new_jobs
end

-- Raises the counter by so many ids and returns the first of them.
local function reserve_ids(how_many, step)
  if how_many == 0 then
    return 0
  end
  local last_id = redis.call("INCRBY", PREFIX .. "query:id:counter", how_many * step)
  return last_id - (how_many - 1) * step
end

local function due_at(due, now)
  return string.sub(due, 1, 1) == "+" and now + tonumber(string.sub(due, 2)) or tonumber(due)
end

-- The text of a job that is pending at once.
local function text_of(id, record)
  local extras = record.max_retries and ',"max_retries":' .. integer(record.max_retries) or ""
  if record.tags then
    extras = extras .. ',"tags":' .. cjson.encode(record.tags)
  end
  if record.request_id then
    extras = extras .. ',"request_id":' .. cjson.encode(record.request_id)
  end
  return fresh_text(id, record.job_type, record.priority, integer(record.created_at), extras)
end

local function submit(argv)
  local nonce, head_start_ms, idempotency_s = argv[1], tonumber(argv[2]), argv[3]
  local searchable, era = argv[4] == "1", argv[5]
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
  local meta = redis.call("HMGET", META, "era", "created_at", "revision")
  if (meta[1] or "0:1") ~= era then
    return { "era" }
  end

  local now, step = time_after(tonumber(meta[2] or 0) or 0), step_of(era, argv[6])
  local known, new_jobs = look_up_keys(argv)
  -- Before anything names one of the ids: whatever may happen below, none is given twice.
  local next_id = reserve_ids(new_jobs, step)
  local answers, payloads, summaries = { integer(now) }, {}, {}
  local new_keys, some_pending = {}, false
  for at = 7, #argv, 10 do
    local job_type, priority, payload, due = argv[at], argv[at + 1], argv[at + 2], argv[at + 3]
    local max_retries, tags = argv[at + 4], argv[at + 5]
    local digest, fingerprint, summary = argv[at + 6], argv[at + 7], argv[at + 8]
    local request_id = argv[at + 9]

    local owner = digest ~= "" and known[digest]
    if owner then
      local id, same = string.match(owner, "^(%d+)|(.*)$")
      answers[#answers + 1] = (same == fingerprint and "=" or "!") .. id
    else
      local id = string.format("%.0f", next_id)
      local record = {
        id = next_id,
        job_type = job_type,
        priority = priority,
        created_at = now,
        retry_count = 0,
        max_retries = tonumber(max_retries),
        tags = tags ~= "" and tags or nil,
        request_id = request_id ~= "" and request_id or nil,
      }
      keep(id, record)
      local due_ms = due == "" and now or due_at(due, now)
      if due_ms > now then
        make_wait(record, "scheduled", due_ms)
      else
        make_pending(record, head_start_ms, text_of(id, record))
        some_pending = true
      end
      payloads[#payloads + 1] = id
      payloads[#payloads + 1] = payload
      if tags ~= "" then
        for tag in string.gmatch(tags, "[^,]+") do
          add(PREFIX .. "Tag:" .. tag, id, id)
          TAGS[tag] = true
        end
      end
      if summary ~= "" then
        summaries[#summaries + 1] = id
        summaries[#summaries + 1] = summary
        for _, entry in ipairs(searchable and find_entries(id, summary) or {}) do
          add(FIND, 0, entry)
        end
      end
      if digest ~= "" then
        known[digest] = id .. "|" .. fingerprint
        new_keys[#new_keys + 1] = digest
      end
      count("submitted", job_type)
      answers[#answers + 1] = id
      next_id = next_id + step
    end
  end
  call_in_steps("HSET", JOB_PAYLOAD, payloads)
  call_in_steps("HSET", JOB_SUMMARY, summaries)
  flush(now, false, (tonumber(meta[3] or 0) or 0) + 1)
  -- After the jobs that they name.
  for _, digest in ipairs(new_keys) do
    redis.call("SET", PREFIX .. "Idem:" .. digest, known[digest], "EX", idempotency_s)
  end
  if some_pending then
    wake()
  end
  remember_answer(nonce, table.concat(answers, ","))
  return answers
end
