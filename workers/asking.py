"""What a running job asks the queue before it does what can't be undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from app.queue import outcome as outcomes
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from app.queue.outcome import Outcome
from workers.slot import Slot

# Shorter waits are not worth giving the job back: that costs three round trips.
WAIT_IN_PLACE_MS = 25
TRIES_IN_PLACE = 3


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job comes to that must not begin; None: nothing is to be told of it."""

    outcome: Outcome | None


class Asking:
    """For the threads of `slots`, and for a child process, which has none.

    `announce` is called just before a job's point of no return is marked. What can't be asked,
    because Redis is away, is given back for `away_ms`.
    """

    def __init__(
        self,
        queue: JobQueue,
        slots: Sequence[Slot],
        announce: Callable[[], None],
        *,
        away_ms: int,
    ) -> None:
        self._away_ms = away_ms
        self._queue = queue
        self._slots = slots
        self._announce = announce

    def begin(self, job: Job) -> Ended | None:
        """Makes sure that the job is still this worker's, and lets the queue know that it begins.

        None: it may.
        """
        try:
            with self._uninterrupted(job.id):
                verdict = self._queue.mark_begun(job)
        except QueueUnavailable as error:
            return Ended(outcomes.released(job, delay_ms=self._away_ms, reason=str(error)))
        if verdict == "ok":
            return None
        if verdict == "cancel":
            job.cancel_requested = True
            return Ended(outcomes.cancelled(job, "Cancelled before it began."))
        return Ended(None)

    def mark_sending(self, job: Job) -> bool:
        """See `Job.mark_sending`. `job.sending` is true from before the mark, unless it failed.

        Raises QueueUnavailable.
        """
        # Before the queue knows: what is given back at shutdown must not be marked any more.
        job.sending = True
        verdict = ""
        try:
            self._announce()
            with self._uninterrupted(job.id):
                verdict = self._queue.mark_sending(job)
        finally:
            job.sending = verdict == "ok"
        job.cancel_requested = job.cancel_requested or verdict == "cancel"
        return job.sending

    def take(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        """See `JobQueue.take`; waits in place where that is shorter than giving the job back."""
        for _ in range(TRIES_IN_PLACE):
            with self._uninterrupted(job_id):
                wait_ms = self._queue.take(job_id, intervals_ms)
            if not 0 < wait_ms <= WAIT_IN_PLACE_MS:
                break
            time.sleep(wait_ms / 1000)
        return wait_ms

    def _uninterrupted(self, job_id: int) -> AbstractContextManager[None]:
        for slot in self._slots:
            if (job := slot.job) and job.id == job_id:
                return slot.shielded()
        return nullcontext()
