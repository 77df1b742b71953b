"""`Worker`: claims jobs, has them run, settles them."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from functools import cached_property, partial
from types import FrameType
from typing import Any

from app.config import Config
from app.jobs import find
from app.jobs.mail_service import breaker, mailer
from app.logs import concerning
from app.mail.pacing import Pacing
from app.queue import outcome as outcomes
from app.queue.answers import Renewal
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.opening import Store
from app.queue.outcome import Outcome
from app.queue.server_clock import ServerClock
from app.queue.sharded_jobqueue import ShardedJobQueue
from workers.alone import Alone
from workers.asking import Asking
from workers.attempt import attempt, failed
from workers.bell import Bell
from workers.crew import Crew, timeout_of
from workers.keeper import Keeper
from workers.pace import wait_for_turn
from workers.presence import Presence, new_name
from workers.rounds import Rounds
from workers.slot import Cancelled, Interrupted, ShuttingDown, Slot, TimedOut

log = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 1.0  # for jobs that are interrupted at shutdown
STOPPED = "The worker was stopped."


class Worker:
    """One worker process: `config.worker_concurrency` threads run jobs, one more waits for work and
    changes places with them, the main one talks to Redis, one renews leases.

    Subclass it to override `process_job`, and call `run()` in the main thread. A job that killed
    its process before runs alone in a child process, where the class is made again: it must be
    importable and take the config alone.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.name = new_name()
        self.announce_sending: Callable[[], None] = lambda: None
        self._rng = random.Random()
        self._slots: list[Slot] = []
        self._type_rates = dict(config.job_type_rate)
        if config.mail_domain_rate:
            mailer().pace(Pacing(config.mail_domain_rate, lambda *ask: self._asking.take(*ask)))

    # ── One job ─────────────────────────────────────────────────────────────────────────────

    def process_job(self, job: Job) -> Any:
        """Runs one job: the only place that does. What it returns becomes the job's `result`.

        An exception fails the attempt; PermanentFailure, RetryLater and GiveBack choose how.
        """
        job_type = find(job.job_type)
        job.data = job_type.validate(job.payload, strict=False)
        return job_type.run(job)

    def attempt(self, job: Job) -> Outcome:
        """Runs the job and says how that ended. Raises nothing but Interrupted."""
        job.mark_sending = partial(self._asking.mark_sending, job)
        try:
            with concerning(job_id=job.id, job_type=job.job_type, request_id=job.request_id):
                outcome = attempt(job, self._process_in_turn, self.config, self._rng)
                # Those that came over HTTP; a line for each of a million others would cost more
                # than many of them do.
                if job.request_id:
                    log.info("Attempt %d: %s", job.attempts, outcome.in_words)
                return outcome
        finally:
            job.mark_sending = None  # a job that refers to itself would wait for the collector

    def _process_in_turn(self, job: Job) -> Any:
        wait_for_turn(job, self._type_rates, self._asking.take)
        return self.process_job(job)

    @cached_property
    def _asking(self) -> Asking:
        away_ms = int(self.config.retry_base_seconds * 1000)
        return Asking(self._queue, self._slots, lambda: self.announce_sending(), away_ms=away_ms)

    @cached_property
    def _queue(self) -> ShardedJobQueue:
        """Connects on first use: a child process rarely needs it."""
        return Store(self.config, name=f"mailroom-{self.name}").queue

    # ── All jobs ────────────────────────────────────────────────────────────────────────────

    def run(self) -> int:
        """Works until SIGTERM or SIGINT; returns the exit code. Main thread only.

        0: stopped on request. 1: stopped without Redis; leases run out. 3: a job can't be
        stopped; start a new process in this one's place.
        """
        self._open()
        log.info("Worker %s started, %d at once", self.name, self.config.worker_concurrency)
        code = 0
        try:
            self._rounds.turns.tell_for_the_dead()
            while not self._stopping:
                self._rounds.step()
            self._shut_down()
        except QueueUnavailable as error:
            log.error("Stopped with %d jobs in hand: %s", len(self._rounds.held), error)
            code = 1
        finally:
            self._close()
        return 3 if self._keeper.given_up else code

    def _open(self) -> None:
        config = self.config
        self._stopping = False
        self._signalled = False
        self._clock = ServerClock(self._queue.now)
        self._who = Presence("main", self._queue, self._clock)
        self._bell = Bell()
        self._alone = Alone(
            self,
            self._queue,
            begin=self._asking.begin,
            began=lambda slot: self._keeper.expect(slot),
        )
        self._crew = Crew(
            config.worker_concurrency,
            self._bell,
            attempt=self._attempt_in_slot,
            interrupted=self._interrupted,
            began=lambda slot: self._keeper.expect(slot),
        )
        self._slots += self._crew.slots
        self._rounds = Rounds(
            config,
            self.name,
            self._queue,
            self._crew,
            self._bell,
            self._clock,
            stop_by=lambda: self._stop_by if self._stopping else None,
        )
        self._keeper = Keeper(
            self._queue,
            self.name,
            self._crew.slots,
            held=lambda: list(self._rounds.held.values()),
            presence=self._presence,
            on_renewal=self._on_renewal,
            on_stuck=self._on_stuck,
        )
        signal.set_wakeup_fd(self._bell.write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._crew.start()
        self._keeper.start()

    # ── In the threads of the crew ──────────────────────────────────────────────────────────

    def _attempt_in_slot(self, job: Job, slot: Slot) -> Outcome | None:
        if job.cancel_requested:
            return outcomes.cancelled(job, "Cancelled before it began.")
        if job.lease in self._keeper.lost:
            return None
        if not job.deaths:
            # Stopped or starved for so long that others may have begun it.
            is_stale = time.monotonic() - job.leased_at > self.config.lease_seconds
            if is_stale and (ended := self._asking.begin(job)):
                return ended.outcome
            return self.attempt(job)
        return self._alone.attempt(job, slot, timeout_of(job))

    def _interrupted(self, job: Job, reason: type[Interrupted]) -> Outcome | None:
        if job.sending:
            # Nobody can tell how that ended. When its lease has run out, the queue says so.
            log.warning("Job %d was stopped after its point of no return", job.id)
            return None
        if reason is TimedOut:
            error = f"Timed out after {timeout_of(job):g} s."
            return failed(job, error, self.config, self._rng)
        if reason is Cancelled:
            return outcomes.cancelled(job, "Cancelled while running.")
        if reason is ShuttingDown:
            return outcomes.released(job, reason=STOPPED)
        return outcomes.stopped(job, "Its lease ran out.")

    # ── Stopping ────────────────────────────────────────────────────────────────────────────

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        # The second signal does not wait for the jobs in hand; their leases run out.
        if self._signalled:
            os._exit(1)
        self._signalled = True
        self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        if not self._stopping:
            self._stop_by = time.monotonic() + self.config.shutdown_seconds
            self._stopping = True

    def _shut_down(self) -> None:
        """Finishes what runs, gives back what was not begun or doesn't end in time."""
        log.info("Stopping: %d jobs in hand", len(self._rounds.held))
        late = self._end_waiting()
        self._rounds.take_answers()
        self._give_back(self._crew.take_unbegun() + late)
        self._rounds.settle_until(self._stop_by, self._keeper.given_up)
        self._stop_by = time.monotonic() + STOP_GRACE_SECONDS
        self._crew.stop(ShuttingDown)
        self._rounds.settle_until(self._stop_by, self._keeper.given_up)
        # Blocked in C code. They can't go on once this process has ended, which is now. Where that
        # may be too late to take back what they did, or can't be known, the lease runs out.
        running = self._rounds.running(self._keeper.given_up)
        self._give_back([job for job in running if not (job.sending or job.deaths)])
        if untold := self._rounds.turns.untold:
            raise QueueUnavailable(f"{len(untold)} outcomes are left to the journal.")

    def _end_waiting(self) -> list[Job]:
        """What was claimed at this moment. While Redis is away nobody knows: leases run out."""
        try:
            return self._rounds.wake.stop()
        except QueueUnavailable:
            return []

    def _give_back(self, jobs: list[Job]) -> None:
        if jobs:
            self._rounds.settle([outcomes.released(job, reason=STOPPED) for job in jobs])

    def _close(self) -> None:
        self._keeper.stop()
        self._rounds.turns.close()
        self._end_waiting()
        self._crew.stop(ShuttingDown)  # their processes, if they have some, must not stay
        self._alone.close()
        try:
            self._queue.renew(self.name, [], None)
        except QueueUnavailable:
            log.info("Left without saying so: Redis is away")
        signal.set_wakeup_fd(-1)
        log.info("Worker %s stopped", self.name)

    # ── What the keeper tells and asks ──────────────────────────────────────────────────────

    def _on_renewal(self, renewal: Renewal) -> None:
        if renewal.housekeeping_due:
            self._rounds.stand_in.help_out()
        if renewal.work_waits:  # its marker may have died with another worker
            self._bell.ring()

    def _on_stuck(self, job: Job) -> None:
        log.error(
            "Job %d (%s) does not stop after its time-out: this process ends in its place",
            job.id,
            job.job_type,
        )
        self._begin_to_stop()
        self._bell.ring()

    def _presence(self) -> dict[str, object]:
        running = [job for slot in self._crew.slots if (job := slot.job)]
        facts = self._who.facts()
        return facts | {
            "concurrency": len(self._crew.slots),
            "busy": len(running),
            "claimed_at": self._rounds.claimed_at,
            "breaker": breaker(),
            "jobs": [
                {"id": job.id, "job_type": job.job_type, "picked_at": job.picked_at}
                for job in running
            ],
        }
