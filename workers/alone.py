"""Runs a job that has seen its worker die in a process of its own, so that it takes nobody with it.

What was in a worker's hand when it died is under suspicion, all of it. Only one of them, at most,
was to blame; the others must neither wait long nor be charged with deaths that are not theirs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.queue import outcome as outcomes
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from app.queue.outcome import Outcome
from app.queue.upkeep import DEATHS_MAX
from workers.asking import Ended
from workers.children import Children, NoProcess
from workers.slot import Slot

if TYPE_CHECKING:
    from workers.worker_base import Worker

log = logging.getLogger(__name__)


class Alone:
    """For the slots of one worker. `begin` asks whether a job may begin, and answers as
    `Asking.begin`; `began` hears of each that does."""

    def __init__(
        self,
        worker: Worker,
        queue: JobQueue,
        *,
        begin: Callable[[Job], Ended | None],
        began: Callable[[Slot], None],
    ) -> None:
        self._children = Children(worker)
        self._queue = queue
        self._begin = begin
        self._began = began
        self._retry_ms = int(worker.config.retry_base_seconds * 1000)

    def attempt(self, job: Job, slot: Slot, timeout_seconds: float | None) -> Outcome | None:
        """The outcome of the job; None when the slot was told to stop, or nothing is to be told.

        The job's time-out begins when the job does.
        """
        slot.allow(math.inf)
        # The last chance is taken in a process where no other job has left anything behind.
        fresh = job.deaths >= DEATHS_MAX - 1
        try:
            child = self._children.take(job, slot, fresh=fresh)
        except NoProcess as error:
            log.error("Job %d (%s) must run alone, and can't: %s", job.id, job.job_type, error)
            reason = f"No process could be started for it: {error}"
            return outcomes.released(job, delay_ms=self._retry_ms, reason=reason)
        if child is None:
            return None
        died = True
        try:
            if ended := self._begin(job):
                died = False
                return ended.outcome
            slot.allow(timeout_seconds or 0.0)
            self._began(slot)
            outcome = child.run(job)
            died = outcome is None
        finally:
            self._children.give_back(child, slot, died=died)
        if died and not slot.reason:
            self._blame(job)
        return outcome

    def close(self) -> None:
        self._children.close()

    def _blame(self, job: Job) -> None:
        log.error("Job %d (%s) died in its own process", job.id, job.job_type)
        try:
            self._queue.abandon(job)
        except QueueUnavailable:
            log.warning("Job %d: its lease runs out by itself", job.id)
