"""The jobs that follow from how an attempt ended, such as events about a mail."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from app.jobs import UnknownJobType, find
from app.queue.errors import IdempotencyConflict, NotReplicated, QueueFull, QueueUnavailable
from app.queue.job import Job, Priority
from app.queue.jobqueue import JobQueue
from app.queue.outcome import Outcome
from app.queue.submission import NewJob, pack

log = logging.getLogger(__name__)

WAITING_MAX = 10_000


def with_follow_ups(job: Job, outcome: Outcome, now: float) -> Outcome:
    """The outcome with the jobs that its job type makes of it. Raises nothing."""
    try:
        follow_ups = find(job.job_type).follow_ups
        if follow_ups is None:
            return outcome
        jobs = tuple(follow_ups(job, outcome, now))
        for one in jobs:
            pack(one)  # what the queue would refuse must not stop the worker later
    except UnknownJobType:
        return outcome
    except Exception:
        log.exception("Job %d (%s): what follows from it is lost", job.id, job.job_type)
        return outcome
    return replace(outcome, follow_ups=jobs)


class FollowUps:
    """Submits the jobs that follow from outcomes, before these are told: none is lost when the
    worker dies in between, and the same key makes a repeat harmless."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._waiting: list[NewJob] = []

    def concern(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether there is something to submit with these outcomes."""
        return bool(self._waiting) or any(outcome.follow_ups for outcome in outcomes)

    def submit(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Returns the outcomes that may be told: those must wait of which a job could not be
        submitted, for its shard is away. Raises QueueUnavailable when there is one shard alone.

        But a full queue must drain, so for that no outcome waits: the jobs do, up to
        `WAITING_MAX`, until a later call.
        """
        new = [job for outcome in outcomes for job in outcome.follow_ups]
        jobs = list(dict.fromkeys([*self._waiting, *new]))
        if not jobs:
            return list(outcomes)
        try:
            self._waiting = self._submit(jobs)
        except QueueUnavailable:
            if len(self._queue.parts()) == 1:
                raise
            return [outcome for outcome in outcomes if self._is_submitted(outcome)]
        return list(outcomes)

    def _is_submitted(self, outcome: Outcome) -> bool:
        try:
            if outcome.follow_ups:
                self._waiting += self._submit(list(outcome.follow_ups))
        except QueueUnavailable:
            return False
        return True

    def _submit(self, jobs: list[NewJob]) -> list[NewJob]:
        """Returns those that must wait because the queue is full."""
        try:
            answers = self._queue.submit_many(jobs)
        except QueueFull as error:
            log.error("%d jobs that follow from others wait, or are lost: %s", len(jobs), error)
            return jobs[-WAITING_MAX:]
        except NotReplicated:  # their outcomes go to the same server next, and ask no more of it
            return []
        for answer in answers:
            if isinstance(answer, IdempotencyConflict):
                log.error("A job that follows from another is lost: %s", answer)
        return []


def recalled(found: Iterable[dict[str, Any]]) -> tuple[NewJob, ...]:
    """Follow-ups as they were before they were written down as JSON. Raises TypeError, ValueError,
    KeyError when they can't be."""
    return tuple(
        NewJob(
            **one
            | {
                "priority": Priority(one["priority"]),
                "tags": tuple(one["tags"]),
                "people": tuple(one["people"]),
            }
        )
        for one in found
    )
