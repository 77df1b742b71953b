"""The finished attempts of a job, from what is kept of them."""

from __future__ import annotations

import json
from typing import Any

from app.queue.job import Attempt, Job, Status


def attempt_from_line(line: str) -> Attempt:
    entry: dict[str, Any] = json.loads(line)
    start = entry.get("start")
    return Attempt(
        number=int(entry["n"]),
        started_at=None if start is None else start / 1000,
        ended_at=entry["end"] / 1000,
        worker=entry.get("worker"),
        outcome=entry["outcome"],
        error=entry.get("error"),
        smtp_code=entry.get("code"),
    )


def success_from_record(job: Job) -> list[Attempt]:
    # A success writes no line of its own: the record says all of it.
    if job.status != Status.SUCCESS or job.completed_at is None:
        return []
    return [Attempt(job.attempts, job.picked_at, job.completed_at, job.worker, "success")]
