-- The record, when it has what every verb relies on, else nil. A part of `repair`.
--
-- Takes the job's id, and the text of its record (or false)
-- Returns the record, or nil; and, where the text is an object of JSON at all, that object.

local FIELD_TYPES = {
  id = "number", status = "string", job_type = "string", priority = "string", tags = "string",
  created_at = "number", ready_at = "number", run_at = "number", picked_at = "number",
  completed_at = "number", retry_count = "number", max_retries = "number", attempts = "number",
  deaths = "number", worker = "string", token = "string", last_token = "string",
  reaped_token = "string", last_error = "string", result = "string", request_id = "string",
  sending = "boolean", begun = "boolean", unconfirmed = "boolean", cancel_requested = "boolean",
}

-- Ids are digits without a leading zero, and stay exact in a double.
local function is_id(text)
  return string.match(text, "^[1-9]%d*$") and #text < 16
end

local function is_status(status)
  return FINAL[status] or PLACE[status]
end

local function readable(id, text)
  local decoded, found = pcall(cjson.decode, text or "")
  if not decoded or type(found) ~= "table" then
    return nil, {}
  end
  local whole = is_id(id)
    and found.id == tonumber(id)
    and is_status(found.status)
    and found.job_type
    and (found.priority == "high" or found.priority == "low")
    and found.retry_count
    and found.created_at
  for name, wanted in pairs(FIELD_TYPES) do
    whole = whole and (found[name] == nil or type(found[name]) == wanted)
  end
  return whole and found or nil, found
end
