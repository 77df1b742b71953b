-- Begins an era of ids in this shard: from now on it takes nothing that names another one.
--
-- Nothing is given in the new era before home has it as well, so a call may come again, and an era
-- that never got so far is replaced by a later one. An earlier one never is.
--
-- ARGV  first id of the era, its number of shards, at home the eras before it as the layout has
--       them (or ""), elsewhere "-", "1" when home has it already
-- Returns "ok"; the last id, when the era would begin below it; or "era <mark>" when the shard has
-- a later one, or home another layout than that.

local function grow(argv)
  local first_id, shards, earlier = tonumber(argv[1]), tonumber(argv[2]), argv[3]
  local mark = integer(first_id) .. ":" .. integer(shards)
  local found = redis.call("HGET", META, "era") or "0:1"
  if found ~= mark and argv[4] ~= "1" then
    local last_id = tonumber(redis.call("GET", PREFIX .. "query:id:counter") or 0)
    if last_id >= math.max(first_id, 1) then
      return integer(last_id)
    end
    local its_first_id, its_shards = string.match(found, "^(%d+):(%d+)$")
    its_first_id, its_shards = tonumber(its_first_id), tonumber(its_shards)
    local is_later = its_shards > shards or its_shards == shards and its_first_id > first_id
    local layout = redis.call("HGET", META, "layout") or ""
    local is_known = earlier == "-" or layout == earlier or layout == "" and earlier == "0:1:0"
    if is_later or not is_known then
      return "era " .. found
    end
  end
  redis.call("HSET", META, "era", mark)
  -- The retry worker has a moment to hear of a new shard, before others stand in for it.
  redis.call("HSETNX", META, "promoted_at", integer(now_ms()))
  if earlier ~= "-" and found ~= mark then
    local era = mark .. ":" .. integer(first_id > 0 and now_ms() or 0)
    redis.call("HSET", META, "layout", earlier == "" and era or earlier .. "," .. era)
    redis.call("HINCRBY", META, "revision", 1)
  end
  return "ok"
end
