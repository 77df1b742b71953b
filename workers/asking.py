"""What a running job asks the queue before it does what can't be undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from workers.slot import Slot

# Shorter waits are not worth giving the job back: that costs three round trips.
WAIT_IN_PLACE_MS = 25
TRIES_IN_PLACE = 3


class Asking:
    """For the threads of `slots`, and for a child process, which has none.

    `announce` is called just before a job's point of no return is marked.
    """

    def __init__(
        self, queue: JobQueue, slots: Sequence[Slot], announce: Callable[[], None]
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._announce = announce

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
