-- Re-checks one field of the hashes that lie beside the records. A part of `repair`.
--
-- Takes the hash's key, the field, its value

-- The lines of a history that people can be shown.
local function readable_lines(history)
  local lines = {}
  for line in string.gmatch(history, "[^\n]+") do
    local decoded, attempt = pcall(cjson.decode, line)
    if decoded and type(attempt) == "table" and type(attempt.n) == "number"
      and type(attempt["end"]) == "number" and type(attempt.outcome) == "string" then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n")
end

local function repair_field(key, id, value)
  if redis.call("HEXISTS", JOB_MAP, id) == 0 and redis.call("HEXISTS", JOB_PAYLOAD, id) == 0 then
    mend("HDEL", key, id)
    say("job " .. id .. ": did not belong in " .. key)
    return
  end
  local wanted = value
  if key == JOB_ATTEMPTS then
    wanted = readable_lines(value)
  elseif not string.find(value, "\n", 1, true) then
    wanted = value .. "\n"
  end
  if wanted ~= value then
    mend("HSET", PREFIX .. "Unreadable", key .. ":" .. id, value)
    if wanted == "" then
      mend("HDEL", key, id)
    else
      mend("HSET", key, id, wanted)
    end
    say("job " .. id .. ": part of " .. key .. " could not be read; the old text is in "
      .. PREFIX .. "Unreadable")
  end
end
