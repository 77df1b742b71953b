"""The thread that keeps what a worker holds: it renews leases and ends what runs too long."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from app.queue.answers import Renewal
from app.queue.errors import QueueError
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from workers.slot import Cancelled, Interrupted, LeaseGone, Slot, TimedOut

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # between renewals while Redis is away
GRACE_SECONDS = 5.0  # for a timed-out job to notice
_OTHERS = "its leases are not renewed, those of the others are"


class Keeper:
    """Renews every quarter of a lease, and watches the deadlines of all slots.

    `held` gives the jobs in hand, `presence` what the worker says of itself; `on_renewal` hears
    each answer; `on_stuck` is called once when a job can't be stopped.
    """

    def __init__(
        self,
        queue: JobQueue,
        name: str,
        slots: list[Slot],
        *,
        held: Callable[[], list[Job]],
        presence: Callable[[], dict[str, object]],
        on_renewal: Callable[[Renewal], None],
        on_stuck: Callable[[Job], None],
    ) -> None:
        self._queue = queue
        self._name = name
        self._slots = slots
        self._held = held
        self._presence = presence
        self._on_renewal = on_renewal
        self._on_stuck = on_stuck
        self._interval = queue.lease_ms / 1000 / 4
        self._renew_at = 0.0
        self._wake_at = 0.0
        self._stopping = False
        self._signal = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        # Their leases are left to run out: the reaper counts a death.
        self.given_up: set[tuple[int, str]] = set()
        # Held here, but no longer this worker's, as the latest renewal said.
        self.lost: set[tuple[int, str]] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._signal.set()
        self._thread.join(timeout=2)

    def expect(self, slot: Slot) -> None:
        """A job with a deadline began."""
        if slot.deadline is not None and slot.deadline < self._wake_at:
            self._signal.set()

    def _run(self) -> None:
        while not self._stopping:
            now = time.monotonic()
            self._enforce_deadlines(now)
            if now >= self._renew_at:
                self._renew_at = now + self._renew()
            self._wake_at = math.inf  # whoever begins now and is missed below must signal
            self._wake_at = min([self._renew_at, *self._next_deadlines()])
            self._signal.wait(max(0.0, self._wake_at - time.monotonic()))
            self._signal.clear()

    def _renew(self) -> float:
        """Returns in how many seconds to renew again."""
        held = [job for job in self._held() if job.lease not in self.given_up]
        # When this worker lost a job and claimed it again, only the newer lease can be good.
        latest = {job.id: job for job in held}
        lost = [job for job in held if latest[job.id] is not job]
        asked_at = time.monotonic()
        try:
            renewal = self._queue.renew(self._name, list(latest.values()), self._presence())
        except QueueError as error:
            log.log(logging.WARNING if held else logging.DEBUG, "Leases not renewed: %s", error)
            return min(RETRY_SECONDS, self._interval)
        except Exception:  # without this thread all leases run out
            log.exception("Leases not renewed")
            return min(RETRY_SECONDS, self._interval)
        if renewal.incomplete:
            log.log(logging.WARNING if held else logging.DEBUG, "A shard is away: %s", _OTHERS)
        for job_id in renewal.ok:
            latest[job_id].leased_at = asked_at
        lost += [latest[job_id] for job_id in renewal.lost]
        self.lost = {job.lease for job in lost}
        self._stop_jobs(lost, LeaseGone)
        self._stop_jobs([latest[job_id] for job_id in renewal.cancel], Cancelled)
        self._on_renewal(renewal)
        return min(RETRY_SECONDS, self._interval) if renewal.incomplete else self._interval

    def _stop_jobs(self, jobs: list[Job], reason: type[Interrupted]) -> None:
        for job in jobs:
            job.cancel_requested = reason is Cancelled
            for slot in self._slots:
                slot.stop(job, reason)

    def _enforce_deadlines(self, now: float) -> None:
        for slot in self._slots:
            job, deadline = slot.job, slot.deadline
            if not job or deadline is None or now < deadline:
                continue
            if slot.reason is None:
                slot.stop(job, TimedOut)
            elif now >= slot.stopped_at + GRACE_SECONDS and job.lease not in self.given_up:
                self.given_up.add(job.lease)
                self._on_stuck(job)

    def _next_deadlines(self) -> list[float]:
        deadlines = []
        for slot in self._slots:
            job, deadline = slot.job, slot.deadline
            if not job or deadline is None or job.lease in self.given_up:
                continue
            if slot.reason:
                deadline = max(deadline, slot.stopped_at + GRACE_SECONDS)
            deadlines.append(deadline)
        return deadlines
