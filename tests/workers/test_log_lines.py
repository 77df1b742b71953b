"""What a worker says of a job that came over HTTP."""

from __future__ import annotations

import json

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.processes import System, wait_until


def submit(system: System, job_type: str) -> int:
    [answer] = system.queue.submit_many([NewJob(job_type, request_id="r-1", max_retries=1)])
    return answer.job_id


def test_an_attempt_leaves_a_line_with_its_job_and_request(system: System) -> None:
    worker = system.start(LOG_FORMAT="json")
    done, failed = submit(system, "noop"), submit(system, "unlucky")
    unasked = system.queue.submit("noop", {})
    for job_id in (done, unasked):
        system.wait_for(job_id, Status.SUCCESS)
    system.wait_for(failed, Status.PERMANENTLY_FAILED)

    worker.stop()
    lines = [json.loads(line) for line in worker.log().splitlines()]
    ends = {
        line["job_id"]: (line["message"], line["job_type"], line["request_id"])
        for line in lines
        if line["message"].startswith("Attempt")
    }
    assert ends[done] == ("Attempt 1: success", "noop", "r-1")
    assert ends[failed][0].startswith("Attempt 1: failed: ")
    assert unasked not in ends


def test_the_lines_of_a_jobs_own_code_are_marked_too(system: System) -> None:
    worker = system.start()
    job_id = submit(system, "unlucky")
    wait_until(lambda: f"job_id={job_id}" in worker.log(), "its lines")

    [line] = [line for line in worker.log().splitlines() if "workers.attempt" in line]
    assert f"[job_id={job_id} job_type=unlucky request_id=r-1]" in line
