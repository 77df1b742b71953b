-- Forgets a job that no worker holds: record, payload, history, indexes, tags.
--
-- ARGV  nonce, id
-- Returns "ok", "missing", or "processing".

local function delete(argv)
  local nonce, id = argv[1], argv[2]
  local earlier = earlier_answer(nonce)
  if earlier then
    return earlier
  end
  local record = load_one(id)
  if not record then
    return "missing"
  end
  local answer = delete_job(record)
  if answer == "ok" then
    flush(now_ms())
    remember_answer(nonce, "ok")
  end
  return answer
end
