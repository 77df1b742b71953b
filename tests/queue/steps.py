"""Steps that many tests of the queue take."""

from __future__ import annotations

from typing import Any

import pytest

from app.queue import outcome as outcomes
from app.queue.answers import Reaping
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.virtual_time import Clock


def claim_one(queue: JobQueue, worker: str = "w1") -> Job:
    [job] = queue.claim(worker, 1)
    return job


def let_leases_run_out(queue: JobQueue, clock: Clock) -> Reaping:
    """A lease passes without renewals, while the reaper runs as often as in life."""
    requeued: list[int] = []
    poisoned: list[int] = []
    left_ms, held = queue.lease_ms, True
    while left_ms > 0 or held:
        step_ms = max(1, min(left_ms, queue.lease_ms // 4))
        reaping = queue.reap()
        requeued, poisoned = requeued + reaping.requeued, poisoned + reaping.poisoned
        clock.advance(ms=step_ms)
        left_ms, held = left_ms - step_ms, reaping.held
    reaping = queue.reap()
    return Reaping(requeued + reaping.requeued, poisoned + reaping.poisoned, reaping.held)


def job_in(status: Status, queue: JobQueue, clock: Clock, **fields: Any) -> int:
    """Submits a job and brings it into this status, on a queue without pending jobs."""
    if status == Status.SCHEDULED:
        return queue.submit("noop", delay_ms=5_000, **fields)
    job_id = queue.submit("noop", **fields)
    if status == Status.CANCELLED:
        queue.cancel(job_id)
    elif status != Status.PENDING:
        job = claim_one(queue)
        assert job.id == job_id
        if status == Status.SUCCESS:
            queue.complete(job)
        elif status == Status.FAILED:
            queue.fail(job, "refused", retry_in_ms=5_000)
        elif status == Status.PERMANENTLY_FAILED:
            queue.fail(job, "refused", retry_in_ms=None)
    return job_id


def cancel_as_worker(queue: JobQueue, job: Job) -> None:
    """The job's code noticed that it was cancelled, and stopped."""
    queue.turn(job.worker or "", [outcomes.cancelled(job, "Cancelled while running.")], 0)


def send_every_call_twice(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a client does whose connection was cut before the answer came: the second one counts."""
    send = queue._scripts.call

    def send_twice(name: str, *args: Any, **options: Any) -> Any:
        send(name, *args, **options)
        return send(name, *args, **options)

    monkeypatch.setattr(queue._scripts, "call", send_twice)
