"""Keeps each job type to its rate, over all workers together."""

from __future__ import annotations

from collections.abc import Mapping

from app.jobs import GiveBack, find
from app.mail.pacing import Take
from app.queue.job import Job


def wait_for_turn(job: Job, rates: Mapping[str, float], take: Take) -> None:
    """Returns when the job may begin: at most so many a second as `rates`, by job type, or else
    its type itself says.

    Raises GiveBack when its turn comes later, UnknownJobType, QueueUnavailable.
    """
    per_second = rates.get(job.job_type, find(job.job_type).attempts_per_second)
    if per_second is None:
        return
    if wait_ms := take(job.id, {f"type:{job.job_type}": 1000 / per_second}):
        reason = f"Its turn has not come: {job.job_type} has a rate limit"
        raise GiveBack(wait_ms / 1000, reason)
