"""The job type of the benchmarks: it does nothing."""

from __future__ import annotations

from app.jobs import job_type
from app.queue.job import Job


@job_type("noop")
def noop(job: Job) -> None:
    """Takes no time, so that what is measured is the queue."""
