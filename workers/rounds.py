"""Brings jobs to the crew and their outcomes to the queue, round by round."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.config import Config
from app.queue.answers import Turn
from app.queue.job import Job
from app.queue.jobqueue import CLAIM_MAX
from app.queue.outcome import Outcome
from app.queue.server_clock import ServerClock
from app.queue.sharded_jobqueue import ShardedJobQueue
from workers.bell import Bell
from workers.crew import SETTLE_WITHIN_SECONDS, Crew
from workers.follow_ups import with_follow_ups
from workers.housekeeping import StandIn
from workers.turns import Asked, Turns
from workers.wake import Claims, Watches

log = logging.getLogger(__name__)

TELL_AGAIN_SECONDS = 0.5  # while a shard is away


class Rounds:
    """For the main thread of the worker `name`. `stop_by` says when it must have ended, on the
    monotonic clock; None: it goes on, and claims."""

    def __init__(
        self,
        config: Config,
        name: str,
        queue: ShardedJobQueue,
        crew: Crew,
        bell: Bell,
        clock: ServerClock,
        stop_by: Callable[[], float | None],
    ) -> None:
        self.held: dict[tuple[int, str], Job] = {}  # claimed and not yet settled
        self.stand_in = StandIn(config, queue)
        self._queue = queue
        self._crew = crew
        self._bell = bell
        self._clock = clock
        self._stop_by = stop_by
        self._claimed: float | None = None  # monotonic
        self.turns = Turns(
            queue,
            name,
            config.data_dir / "journal",
            bell,
            more_finished=self.take_finished,
            stop_by=stop_by,
        )
        self.wake = Watches(
            queue,
            config.server_url,
            name,
            lambda keys: keys.wake,
            bell,
            Claims(
                name,
                wanted=lambda: crew.reserved > 0,
                claimed=self._on_claim,
                give_up=crew.unreserve,
                start=crew.start_waiting,
                pass_on=crew.wait_on,
            ),
        )

    @property
    def claimed_at(self) -> float | None:
        """When the last claim was answered, in seconds since the epoch by the server's clock."""
        return None if self._claimed is None else self._clock.moment(self._claimed)

    def step(self) -> None:
        """Settles what is finished, claims what there is room for, and waits for more."""
        finished = self.take_finished()
        wanted = min(CLAIM_MAX, self._crew.room() - self.turns.wanted)
        # The shard whose marker was taken is asked first; those of others are for who has room.
        taken = self.wake.took()
        first = taken[0] if taken and wanted > 0 else None
        self.wake.put_back(but=first)
        if finished or wanted > 0:
            self.turns.ask(finished, max(0, wanted), first, ahead=self._crew.are_short)
        may_be_idle = self.take_answers(ahead=True)
        if self.turns.under_way and not self._stopping():
            if self._crew.wait(SETTLE_WITHIN_SECONDS):
                return
            may_be_idle = self.take_answers()
        if may_be_idle and not self._stopping():
            self._crew.wait(TELL_AGAIN_SECONDS if self.turns.untold else None)

    def take_answers(self, *, ahead: bool = False) -> bool:
        """Waits until no turn is under way; `ahead`: but one that is with the server, while there
        are short jobs to go on with. Whether other shards may not have more work, as far as the
        last answer tells."""
        claimed = wanted = 0
        while self.turns.under_way:
            if ahead and len(self.turns.under_way) == 1 and self._may_stay_under_way():
                break
            asked, turn = self.turns.answer()
            self._settled(asked, turn)
            claimed = len(turn.jobs)
            # Not what was asked for: there was less room while others were under way.
            wanted = claimed + max(0, self._crew.room())
            if not (self._stopping() or self.turns.under_way):
                self._wait_for_work(claimed, wanted)
        return not 0 < claimed < wanted or len(self._queue.parts()) == 1

    def take_finished(self) -> list[Outcome]:
        finished = self.turns.take_untold()
        for job, outcome in self._crew.take_finished(CLAIM_MAX):
            if outcome:
                finished.append(with_follow_ups(job, outcome, self._clock.last_known()))
            else:
                self.held.pop(job.lease, None)
        return finished

    def settle(self, finished: list[Outcome]) -> None:
        self.turns.ask(finished, 0)
        self.take_answers()

    def settle_until(self, deadline: float, given_up: set[tuple[int, str]]) -> None:
        """Until nothing is in hand, or that moment on the monotonic clock."""
        while True:
            if finished := self.take_finished():
                self.settle(finished)
            untold, seconds_left = self.turns.untold, deadline - time.monotonic()
            if not (self.running(given_up) or untold) or seconds_left <= 0:
                return
            self._crew.wait(min(seconds_left, TELL_AGAIN_SECONDS if untold else seconds_left))

    def running(self, given_up: set[tuple[int, str]]) -> list[Job]:
        """The jobs in hand, but for those left to the reaper because they can't be stopped, and
        those that only wait to be told."""
        gone = given_up | {(one.job_id, one.token) for one in self.turns.untold}
        return [job for job in list(self.held.values()) if job.lease not in gone]

    def _may_stay_under_way(self) -> bool:
        return self.turns.sent_ahead and self._crew.has_company

    def _wait_for_work(self, claimed: int, wanted: int) -> None:
        """Who waits for a marker claims for a free slot by itself. Not of several shards: slots
        that are kept for one would be missing where work is."""
        if len(self._queue.parts()) > 1:
            self._crew.unreserve()
            if claimed < wanted:
                self.wake.arm()
            else:
                self.wake.disarm()
        elif (claimed < wanted or wanted <= 0) and self._crew.reserve():
            self.wake.arm()

    def _settled(self, asked: Asked, turn: Turn) -> None:
        if asked.wanted:
            self._claimed = time.monotonic()
        for outcome, verdict in zip(asked.finished, turn.verdicts, strict=True):
            if verdict == "away":
                continue
            self.held.pop((outcome.job_id, outcome.token), None)
            if verdict in ("late", "lost"):
                log.warning("Job %d: the outcome came after its lease: %s", outcome.job_id, verdict)
        if turn.housekeeping_due:
            self.stand_in.help_out()
        self.held.update((job.lease, job) for job in turn.jobs)
        self._crew.hand_over(turn.jobs)

    def _on_claim(self, turn: Turn, asked_at: float) -> None:
        """In the thread that waits for a marker."""
        self._claimed = time.monotonic()
        for job in turn.jobs:
            job.leased_at = asked_at
        self.held.update((job.lease, job) for job in turn.jobs)
        self._crew.expect(turn.jobs)
        # The main thread asks for more, and hears what else a turn says.
        if turn.more_wait or turn.era != self._queue.shards.layout.era.mark:
            self._crew.unreserve()
            self._bell.ring()

    def _stopping(self) -> bool:
        return self._stop_by() is not None
