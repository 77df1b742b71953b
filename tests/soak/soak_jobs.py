"""Job types that say themselves what ran: each a line in the file that SOAK_LOG names.

A line is `id pid what time`; `what` is "started" or "finished", the time seconds since the epoch.
"""

from __future__ import annotations

import os
import signal
import time
from functools import cache
from pathlib import Path

from app.jobs import RetryLater, job_type
from app.queue.job import Job


@job_type("soak")
def soak(job: Job) -> None:
    """Takes `seconds` (0), and not less than until the file `until` is there."""
    note(job, "started")
    time.sleep(job.data.get("seconds", 0))
    until = job.data.get("until")
    while until and not Path(until).exists():
        time.sleep(0.01)
    note(job, "finished")


@job_type("soak_flaky")
def soak_flaky(job: Job) -> None:
    """As `soak`, but nothing is done in the first attempt."""
    if job.retry_count == 0:
        raise RetryLater(0.05, "not yet")
    soak(job)


@job_type("soak_poison")
def soak_poison(job: Job) -> None:
    """Takes `seconds` (0) and ends its process."""
    note(job, "started")
    time.sleep(job.data.get("seconds", 0))
    os.kill(os.getpid(), signal.SIGKILL)


@job_type("soak_once_failing")
def soak_once_failing(job: Job) -> None:
    """Fails the first time."""
    if not job.retry_count:
        raise RuntimeError("the first time")
    note(job, "started")
    note(job, "finished")


def note(job: Job, what: str) -> None:
    """One write with O_APPEND: lines of several processes don't mix, and a kill loses none."""
    os.write(_log(), f"{job.id} {os.getpid()} {what} {time.time():.6f}\n".encode())


@cache
def _log() -> int:
    return os.open(os.environ["SOAK_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
