-- Forgets a job that no worker holds. A part of `delete` and `operate`.
--
-- Takes its record
-- Returns "ok", or "processing".

local function delete_job(record)
  if record.status == "processing" then
    return record.status
  end
  forget(record)
  count("deleted", record.job_type)
  return "ok"
end
