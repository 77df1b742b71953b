-- Jobs that go straight, from submission to success at the first attempt: their records are read and
-- written as text, because to decode and encode one takes longer than all else that happens to it.
--
-- Such a record has two halves. What never changes comes first; then, after `, "status"` with a space
-- that `cjson` never writes (so nothing else looks like it, and no text inside quotes can), what does.
-- Whatever else happens to a job is written by `cjson`, and from then on it is a job like any other.

local FRESH = ', "status":"pending"}'
local PROCESSING = ', "status":"processing"'
local CLAIMS = {} -- the second half of a record → what it says; jobs of one claim have the same

-- `extras` are the fields that only some jobs have.
local function fresh_text(id, job_type, priority, created_at, extras)
  return '{"id":' .. id .. ',"job_type":"' .. job_type .. '","priority":"' .. priority
    .. '","created_at":' .. created_at .. ',"retry_count":0' .. extras .. FRESH
end

-- Of a job that was never claimed; nil: `text` is of another. This and `read_first_claimed` return
-- what `claim` and `complete` ask of a record and no more: it can be saved with its text only.
local function read_fresh(text)
  if string.sub(text, -#FRESH) ~= FRESH then
    return nil
  end
  local job_type, priority, created_at =
    string.match(text, '^{"id":%d+,"job_type":"([^"]+)","priority":"([^"]+)","created_at":(%d+)')
  return job_type and {
    head = string.sub(text, 1, -#FRESH - 1), status = "pending", job_type = job_type,
    priority = priority, created_at = tonumber(created_at), retry_count = 0,
    picked_at = nil, worker = nil, token = nil, attempts = nil, -- room for what comes
  }
end

-- The second half of every fresh record that this call claims.
local function first_claimed_tail(now, worker, token)
  return PROCESSING .. ',"picked_at":' .. integer(now) .. ',"worker":' .. cjson.encode(worker)
    .. ',"token":' .. cjson.encode(token) .. ',"attempts":1}'
end

local function read_claim(tail)
  local said, picked_at, token = string.match(
    tail,
    '^, "status":"processing"(,"picked_at":(%d+),"worker":".*",)"token":"([^"\\]+)","attempts":1}$')
  return said and { said = said, picked_at = tonumber(picked_at), token = token }
end

-- Of a job that is at its first attempt, and nothing was noted since; nil: `text` is of another.
local function read_first_claimed(text)
  local at = string.find(text, PROCESSING, 1, true)
  if not at then
    return nil
  end
  local tail = string.sub(text, at)
  local claim = CLAIMS[tail]
  if claim == nil then
    claim = read_claim(tail) or false
    CLAIMS[tail] = claim
  end
  local job_type, priority =
    string.match(text, '^{"id":%d+,"job_type":"([^"]+)","priority":"([^"]+)"')
  return claim and job_type and {
    head = string.sub(text, 1, at - 1), claim = claim, status = "processing", job_type = job_type,
    priority = priority, token = claim.token, picked_at = claim.picked_at, retry_count = 0,
    last_token = nil, completed_at = nil, -- room for what comes
  }
end

local function succeeded_text(record, now, result)
  return record.head .. ', "status":"success"' .. record.claim.said .. '"attempts":1,"last_token":"'
    .. record.claim.token .. '","completed_at":' .. integer(now)
    .. (result ~= "" and ',"result":' .. cjson.encode(result) or "") .. "}"
end
