"""Promotes what is due, reaps what died, trims what is old, runs operations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from app.config import Config
from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import JobQueue
from app.queue.sharded_jobqueue import ShardedJobQueue, shares

log = logging.getLogger(__name__)

PROMOTE_LIMIT = 500
REAP_LIMIT = 100
TRIM_LIMIT = 100
TRIM_EVERY_SECONDS = 60.0
TRIM_CALLS = 50  # in a row; retries must not wait for a large clean-up
OPERATE_SECONDS = 0.5  # in a row; retries must not wait for a large operation either
DAY_MS = 86_400_000
STAND_IN_SECONDS = 600.0


class House:
    """The housekeeping of all shards, one after the other. One that is away stops no other."""

    def __init__(self, config: Config, queue: ShardedJobQueue) -> None:
        self._config = config
        self._queue = queue
        self._keepers: list[Housekeeper] = []
        self._bounds: list[int] = []  # how many finished jobs each shard may keep
        self._count_at = 0.0
        self.interval_seconds = interval_seconds(config)

    def round(self) -> float:
        """Does what is due. Returns in how many seconds something is due again, at most
        `interval_seconds`. Raises QueueUnavailable when no shard was there."""
        self._queue.follow()
        parts = self._queue.parts()
        for number in range(len(self._keepers), len(parts)):
            may_keep = partial(self._may_keep, number)
            self._keepers.append(Housekeeper(self._config, parts[number], may_keep))
        waits, error = [], None
        for number, keeper in enumerate(self._keepers):
            try:
                with self._queue.shards.asking(number):
                    waits.append(keeper.round())
            except QueueUnavailable as found:
                error = found
                log.warning("No housekeeping in shard %d: %s", number, found)
        if error and not waits:
            raise error
        return min([*waits, self.interval_seconds])

    def _may_keep(self, number: int) -> int:
        max_jobs = self._config.retention_max_jobs
        if not max_jobs or len(self._keepers) == 1:
            return max_jobs
        if time.monotonic() >= self._count_at:
            self._bounds = [0] * len(self._keepers)
            # While a shard is away nobody knows how many there are: nothing goes for their number.
            with suppress(QueueUnavailable):
                finished = [part.finished() for part in self._queue.parts()]
                self._bounds = shares(max_jobs, finished)
            self._count_at = time.monotonic() + TRIM_EVERY_SECONDS / 2
        return self._bounds[number] if number < len(self._bounds) else 0


class Housekeeper:
    """One round of everything that keeps one shard moving. Several may work at once.

    `may_keep` says how many finished jobs; 0: any number.
    """

    def __init__(
        self, config: Config, queue: JobQueue, may_keep: Callable[[], int] | None = None
    ) -> None:
        self._config = config
        self._queue = queue
        self._may_keep = may_keep or (lambda: config.retention_max_jobs)
        self.interval_seconds = interval_seconds(config)
        self._trim_at = 0.0

    def round(self) -> float:
        """Does what is due. Returns in how many seconds something is due again, at most
        `interval_seconds`. Raises QueueUnavailable."""
        promotion = self._queue.promote(PROMOTE_LIMIT)
        self._reap()
        trimmed_all = time.monotonic() < self._trim_at or self._trim()
        operations_run = self._operate()
        if promotion.next_due_ms == 0 or not trimmed_all or operations_run:
            return 0.0
        if promotion.next_due_ms is None:
            return self.interval_seconds
        return min(self.interval_seconds, promotion.next_due_ms / 1000)

    def _reap(self) -> None:
        while True:
            reaping = self._queue.reap(REAP_LIMIT)
            if reaping.requeued:
                log.warning("%d jobs of dead workers given back", len(reaping.requeued))
            for job_id in reaping.poisoned:
                log.error("Job %d is poison: permanently failed", job_id)
            if len(reaping.requeued) + len(reaping.poisoned) < REAP_LIMIT:
                return

    def _trim(self) -> bool:
        """False when there is more to trim."""
        config, max_jobs = self._config, self._may_keep()
        for _ in range(TRIM_CALLS):
            trimmed = self._queue.trim(
                success_max_age_ms=int(config.retention_success_days * DAY_MS),
                failed_max_age_ms=int(config.retention_failed_days * DAY_MS),
                max_jobs=max_jobs,
                limit=TRIM_LIMIT,
            )
            if trimmed < TRIM_LIMIT and self._wipe() < TRIM_LIMIT:
                self._trim_at = time.monotonic() + TRIM_EVERY_SECONDS
                return True
        return False

    def _wipe(self) -> int:
        days = self._config.retention_payload_days
        if not days:
            return 0
        return self._queue.wipe_payloads(success_age_ms=int(days * DAY_MS), limit=TRIM_LIMIT)

    def _operate(self) -> bool:
        """True when there is more to do for an operation."""
        until = time.monotonic() + OPERATE_SECONDS
        while self._queue.operate():
            if time.monotonic() > until:
                return True
        return False


def interval_seconds(config: Config) -> float:
    """Well under the half lease after which the reaper suspects an outage."""
    return min(5.0, config.lease_seconds / 8)


class StandIn:
    """Does the housekeeping in a main worker for a while, when no retry worker does."""

    def __init__(self, config: Config, queue: ShardedJobQueue) -> None:
        self._housekeeper = House(config, queue)
        # A retry worker that starts together with this one may need a moment more.
        self._not_before = time.monotonic() + min(10.0, config.lease_seconds / 4)
        self._until = 0.0
        self._thread: threading.Thread | None = None

    def help_out(self) -> None:
        """Called when the queue says that nobody promotes."""
        now = time.monotonic()
        if now < self._not_before:
            return
        self._until = now + STAND_IN_SECONDS
        if self._thread is None or not self._thread.is_alive():
            log.warning("No retry worker is at work: this worker promotes and reaps")
            self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while time.monotonic() < self._until:
            try:
                wait_seconds = self._housekeeper.round()
            except QueueUnavailable:
                wait_seconds = self._housekeeper.interval_seconds
            pause.wait(max(0.01, wait_seconds))
