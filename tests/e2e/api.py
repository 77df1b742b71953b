"""A client of a running copy's API, as small as an application's could be."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.start.running import RunningCopy, wait_for

FINAL = {"success", "permanently_failed", "cancelled"}
MAIL = {
    "to": "user@example.com",
    "subject": "Test Email",
    "message": "This is a test email.",
}


def call(copy: RunningCopy, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """The HTTP code and the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{copy.port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def submit(copy: RunningCopy, job_type: str, payload: dict[str, Any], **fields: Any) -> int:
    code, answer = call(
        copy, "POST", "/api/process_query", {"job_type": job_type, "payload": payload, **fields}
    )
    assert code == 200, answer
    return int(answer["query_id"])


def submit_many(copy: RunningCopy, jobs: list[dict[str, Any]]) -> None:
    code, answer = call(copy, "POST", "/api/jobs/batch", {"jobs": jobs})
    assert (code, answer["rejected"]) == (200, 0), answer


def job(copy: RunningCopy, job_id: int) -> dict[str, Any]:
    code, answer = call(copy, "GET", f"/api/job/status/{job_id}")
    assert code == 200, answer
    data: dict[str, Any] = answer["data"]
    return data


def finished(copy: RunningCopy, job_id: int) -> dict[str, Any]:
    """The job, once its status is final."""
    wait_for(lambda: job(copy, job_id)["status"] in FINAL, copy)
    return job(copy, job_id)


def count(copy: RunningCopy, status: str) -> int:
    """How many jobs have the status; -1 while the API can't tell."""
    try:
        code, answer = call(copy, "GET", f"/api/tasks?status={status}&limit=1")
    except OSError:
        return -1
    return int(answer["total_tasks"]) if code == 200 else -1
