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
  if record.status == "processing" then
    return record.status
  end
  forget(record)
  count("deleted", record.job_type)
  flush(now_ms())
  remember_answer(nonce, "ok")
  return "ok"
end
