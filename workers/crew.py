"""The threads of a worker that run jobs."""

from __future__ import annotations

import logging
import math
import queue as queues
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from app.jobs import UnknownJobType, find
from app.queue.job import Job
from app.queue.outcome import Outcome
from workers.bell import Bell
from workers.slot import Interrupted, Slot
from workers.wake import Waiting

log = logging.getLogger(__name__)

# Jobs shorter than this are claimed ahead of free slots, or round trips would take all the time.
SHORT_JOB_SECONDS = 0.001
SHORT_JOB_BUFFER = 150
# What a slot may lose of its time by waiting for its next job. Where it would be more, some jobs
# are claimed ahead: as many as begin during so many round trips (one is under way when a job ends,
# the next asks for its successor, and none is like the other). They are told at once, unlike short
# ones: what a killed worker had done and not told is done again.
LOSS_BORNE = 0.03
ROUND_TRIPS_AHEAD = 3
# But never more than a slot does in so long: what a worker holds when it is killed waits for its
# leases to end.
AHEAD_SECONDS = 0.01
REFILL_MAX_SECONDS = 0.005  # a server that is slower than that for once is no reason to hoard
SETTLE_WITHIN_SECONDS = 0.005  # finished short jobs wait no longer for company


class Crew:
    """Threads that run jobs, `size` at a time, each in a slot. All methods are for the one thread
    that talks to Redis, but for those that say otherwise.

    One thread more may wait for work. It runs what it claimed, and one that is free waits in its
    place: so a job that comes to an idle worker begins where it was heard of (D. C. Schmidt et al.,
    "Leader/Followers", PLoP 2000).

    `attempt` runs a job to its outcome, and may be interrupted; `interrupted` says what an
    interruption means. Either may answer None: then nothing is settled, and the lease runs out.
    """

    def __init__(
        self,
        size: int,
        bell: Bell,
        *,
        attempt: Callable[[Job, Slot], Outcome | None],
        interrupted: Callable[[Job, type[Interrupted]], Outcome | None],
        began: Callable[[Slot], None],
    ) -> None:
        self.slots = [Slot() for _ in range(size)]
        self.unfinished = 0  # handed over and not yet taken back
        self.reserved = 0  # 1: of the free slots, one is left to who waits for work
        self._counting = threading.Lock()
        self._bell = bell
        self._attempt = attempt
        self._interrupted = interrupted
        self._began = began
        self._inbox: queues.SimpleQueue[Job | Waiting] = queues.SimpleQueue()
        self._free: queues.SimpleQueue[Slot] = queues.SimpleQueue()
        self._done: deque[tuple[Job, Outcome | None, float, float]] = deque()
        self._ring_below = 0
        self._mean_seconds = 1.0
        self._refill_seconds = 0.0  # from a job's end to its successor's arrival
        self._last_ended = 0.0
        self._stopped: type[Interrupted] | None = None

    def start(self) -> None:
        for slot in self.slots:
            self._free.put(slot)
            self._start_thread(self._serve)

    def start_waiting(self, waiting: Waiting) -> None:
        self._start_thread(partial(self._serve, waiting))

    def wait_on(self, waiting: Waiting) -> None:
        """Has the next thread that is free do so. From any thread."""
        self._inbox.put(waiting)

    def room(self) -> int:
        """How many more jobs to claim; not above zero: none."""
        with self._counting:
            return len(self.slots) + self._buffer() - self.unfinished - self.reserved

    def reserve(self) -> bool:
        """Leaves a free slot, if there is one, to who waits for work."""
        with self._counting:
            self.reserved = self._reservable()
            return self.reserved > 0

    def unreserve(self) -> None:
        with self._counting:
            self.reserved = 0

    def expect(self, jobs: list[Job]) -> None:
        """Counts what a thread claimed that waited, for the slot that was reserved; another is
        then, if one is free. From any thread."""
        with self._counting:
            # Who settles may be waiting already. Before the other number: what is finished
            # between the two rings once too often, not too seldom.
            self._ring_below += len(jobs)
            self._count(jobs)

    def hand_over(self, jobs: list[Job]) -> None:
        with self._counting:
            self._count(jobs)
        for job in jobs:
            self._inbox.put(job)
        if jobs and self._last_ended:
            took = min(time.perf_counter() - self._last_ended, REFILL_MAX_SECONDS)
            self._refill_seconds += 0.1 * (took - self._refill_seconds)
            self._last_ended = 0.0

    def take_finished(self, limit: int) -> list[tuple[Job, Outcome | None]]:
        finished: list[tuple[Job, Outcome | None]] = []
        while self._done and len(finished) < limit:
            job, outcome, seconds, self._last_ended = self._done.popleft()
            # Rises at once, falls slowly: a long job among short ones ends the claiming ahead.
            self._mean_seconds = max(seconds, 0.9 * self._mean_seconds + 0.1 * seconds)
            finished.append((job, outcome))
        with self._counting:
            self.unfinished -= len(finished)
        return finished

    def take_unbegun(self) -> list[Job]:
        """Takes back what no thread has begun. Nobody waits for work any more."""
        unbegun: list[Job] = []
        while True:
            try:
                given = self._inbox.get_nowait()
            except queues.Empty:
                with self._counting:
                    self.unfinished -= len(unbegun)
                return unbegun
            if isinstance(given, Job):
                unbegun.append(given)

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Until something is finished or the bell rang for another reason (True), or the time is
        over.

        Short jobs are settled in company: when half of those in hand are finished, or
        `SETTLE_WITHIN_SECONDS` later.
        """
        with self._counting:
            in_company = self.has_company
            half = max(len(self.slots), self.unfinished // 2)
            self._ring_below = half if in_company else self.unfinished
        # Looked at after the threshold is set: whoever finished before did not ring.
        if self.unfinished - len(self._done) < self._ring_below:
            return True
        if not in_company:
            return self._bell.wait(timeout_seconds)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not self._bell.wait(SETTLE_WITHIN_SECONDS) and not self._done:
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    @property
    def has_company(self) -> bool:
        """Jobs are short, and some wait for a free slot."""
        return self.are_short and self.unfinished > len(self.slots)

    def stop(self, reason: type[Interrupted]) -> None:
        """Interrupts what runs; nothing begins any more."""
        self._stopped = reason
        for slot in self.slots:
            if job := slot.job:
                slot.stop(job, reason)

    def _count(self, jobs: list[Job]) -> None:
        self.unfinished += len(jobs)
        if self.reserved:
            self.reserved = self._reservable()

    def _reservable(self) -> int:
        return min(1, max(0, len(self.slots) - self.unfinished))

    @property
    def are_short(self) -> bool:
        return self._mean_seconds < SHORT_JOB_SECONDS

    def _buffer(self) -> int:
        if self.are_short:
            return SHORT_JOB_BUFFER
        loss = self._refill_seconds / self._mean_seconds
        if loss <= LOSS_BORNE:
            return 0
        for_each = min(ROUND_TRIPS_AHEAD * loss, AHEAD_SECONDS / self._mean_seconds)
        return math.ceil(for_each * len(self.slots))

    # ── In the threads ──────────────────────────────────────────────────────────────────────

    def _start_thread(self, target: Callable[[], object]) -> None:
        threading.Thread(target=target, name="crew", daemon=True).start()

    def _serve(self, waiting: Waiting | None = None) -> None:
        if waiting and not self._wait(waiting):
            return
        while True:
            given = self._inbox.get()
            if isinstance(given, Job):
                self._work(given)
            elif not self._wait(given):
                return

    def _wait(self, waiting: Waiting) -> bool:
        """Whether this thread goes on with jobs."""
        jobs = waiting()
        for job in jobs or ():
            self._work(job)
        return jobs is not None

    def _work(self, job: Job) -> None:
        slot = self._free.get()
        began = time.perf_counter()
        try:
            outcome = self._run(job, slot)
        except Exception:  # no fault of the job's; the thread must stay
            log.exception("Job %d: not settled, its lease runs out", job.id)
            outcome = None
        self._free.put(slot)
        ended = time.perf_counter()
        self._done.append((job, outcome, ended - began, ended))
        if self.unfinished - len(self._done) < self._ring_below:
            self._bell.ring()

    def _run(self, job: Job, slot: Slot) -> Outcome | None:
        try:
            try:
                slot.begin(job, timeout_of(job))
                if self._stopped:  # while it waited for the slot
                    raise self._stopped
                if slot.deadline is not None:
                    self._began(slot)
                outcome = self._attempt(job, slot)
            finally:
                reason = slot.reason
                slot.end()
        except Interrupted as interruption:
            slot.end()  # the interruption may have come in the middle of the first
            return self._interrupted(job, type(interruption))
        if outcome is None and reason:
            return self._interrupted(job, reason)
        return outcome


def timeout_of(job: Job) -> float | None:
    """The job type's `timeout_seconds`."""
    try:
        return find(job.job_type).timeout_seconds
    except UnknownJobType:
        return None
