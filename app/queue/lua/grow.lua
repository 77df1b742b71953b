-- One step of beginning an era in this shard, which takes in what names the era that is open here.
--
--   close    elsewhere than at home: from now on it takes in nothing
--   publish  at home: the layout has the era, which is open here at once
--   open     elsewhere, when home has published it for certain
--
-- An era comes after another by first id, then by number of shards. A shard never goes back to an
-- earlier one, whoever comes late, and every step may come again.
--
-- ARGV  first id of the era, its number of shards, the step, to publish: the layout before (or "")
-- Returns "ok"; the last id, when the era would begin below it; or "era <mark>" when the shard has
-- a later one, or home another layout than that.

local function grow(argv)
  local first_id, shards, step, earlier = tonumber(argv[1]), tonumber(argv[2]), argv[3], argv[4]
  local mark = integer(first_id) .. ":" .. integer(shards)
  local found = redis.call("HGET", META, "era") or "0:1"
  local its_first_id, its_shards = string.match(found, "^(%d+):(%d+)")
  local its_mark = its_first_id .. ":" .. its_shards
  local layout = redis.call("HGET", META, "layout") or ""
  local is_there = its_mark == mark
  if step == "publish" then
    is_there = string.match(layout == "" and "0:1:0" or layout, "(%d+:%d+):%d+$") == mark
  end

  if not is_there then
    its_first_id, its_shards = tonumber(its_first_id), tonumber(its_shards)
    if its_first_id > first_id or its_first_id == first_id and its_shards > shards then
      return "era " .. its_mark
    end
    local last_id = tonumber(redis.call("GET", PREFIX .. "query:id:counter") or 0)
    if step ~= "open" and last_id >= math.max(first_id, 1) then
      return integer(last_id)
    end
  end
  if step == "publish" and not is_there then
    if layout ~= earlier and not (layout == "" and earlier == "0:1:0") then
      return "era " .. its_mark
    end
    local era = mark .. ":" .. integer(first_id > 0 and now_ms() or 0)
    redis.call("HSET", META, "layout", earlier == "" and era or earlier .. "," .. era)
    redis.call("HINCRBY", META, "revision", 1)
  end
  -- A write also where nothing changes: a WAIT after it speaks of what an earlier call wrote.
  local is_closed = step == "close" and found ~= mark
  redis.call("HSET", META, "era", is_closed and mark .. ":closed" or mark)
  -- The retry worker has a moment to hear of a new shard, before others stand in for it.
  redis.call("HSETNX", META, "promoted_at", integer(now_ms()))
  return "ok"
end
