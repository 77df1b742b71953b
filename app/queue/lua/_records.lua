-- Records: read once, changed in Lua, written once by `flush`.

local RECORDS = {} -- id (string) → record
local IDS = {} -- record → id (string)
local CHANGED = {} -- id (string) → its new text, or true: still to be encoded
local WRITTEN = {} -- id (string) → the record as it was last read or written, JSON

local function keep(id, record)
  RECORDS[id] = record
  IDS[record] = id
end

-- `read` may know some texts better than `cjson` (see `_straight`).
local function load(ids, read)
  for first = 1, #ids, VARIADIC_MAX do
    local last = math.min(first + VARIADIC_MAX - 1, #ids)
    local found = redis.call("HMGET", JOB_MAP, unpack(ids, first, last))
    for i = first, last do
      local text = found[i - first + 1]
      WRITTEN[ids[i]] = text
      if text and not RECORDS[ids[i]] then
        local record = read and read(text)
        if record then
          keep(ids[i], record)
        else
          -- An error here would end the script half done. `repair` names records it can't read.
          local readable, decoded = pcall(cjson.decode, text)
          if readable then
            keep(ids[i], decoded)
          end
        end
      end
    end
  end
end

local function load_one(id)
  load({ id })
  return RECORDS[id]
end

local function save(record, text)
  CHANGED[IDS[record]] = text or true
end
