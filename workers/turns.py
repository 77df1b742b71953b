"""A worker's round trips to the queue, each of them made until it is answered."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis

from app.queue.answers import Turn
from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import CLAIM_MAX, new_nonce
from app.queue.line import Line
from app.queue.outcome import Outcome
from app.queue.sharded_jobqueue import ShardedJobQueue
from workers.bell import Bell
from workers.follow_ups import FollowUps
from workers.journal import Journal, journals, left_behind

log = logging.getLogger(__name__)

DELAYS_SECONDS = (0.1, 5.0)


@dataclass(slots=True)
class Asked:
    """A turn that is under way, or will be made when its answer is wanted."""

    finished: list[Outcome]
    wanted: int
    first: int | None = None  # the shard to ask first
    nonce: str = field(default_factory=new_nonce)
    at: float = field(default_factory=time.monotonic)
    sent: bool = False


class Turns:
    """Settles and claims for `worker`, in one thread, however long Redis is away: what was
    finished must be told, and is in a journal of `folder` meanwhile. `ask` begins a turn, `answer`
    ends it; those between are answered in their order.

    `more_finished` gives what else is finished while it waits. `stop_by` says when it may wait no
    longer, on the monotonic clock; None: the worker goes on.
    """

    def __init__(
        self,
        queue: ShardedJobQueue,
        worker: str,
        folder: Path,
        bell: Bell,
        *,
        more_finished: Callable[[], list[Outcome]],
        stop_by: Callable[[], float | None],
    ) -> None:
        self.untold: list[Outcome] = []  # their shard is away
        self.under_way: deque[Asked] = deque()
        self._line: Line | None = None
        self._queue = queue
        self._worker = worker
        self._folder = folder
        self._bell = bell
        self._more_finished = more_finished
        self._stop_by = stop_by
        self._follow_ups = FollowUps(queue)
        self._journal = Journal(folder, worker)
        self._rng = random.Random()

    def take_untold(self) -> list[Outcome]:
        untold, self.untold = self.untold, []
        return untold

    def tell_for_the_dead(self) -> None:
        """What workers on this machine finished while Redis was away, and could not tell."""
        for path in journals(self._folder):
            try:
                with left_behind(path) as outcomes:
                    for first in range(0, len(outcomes), CLAIM_MAX):
                        self._tell(outcomes[first : first + CLAIM_MAX], path.stem)
            except OSError as error:
                log.error("The journal %s can't be read: %s", path.name, error)

    def _tell(self, outcomes: list[Outcome], worker: str) -> None:
        turn = self.take(outcomes, 0)
        for outcome, verdict in zip(outcomes, turn.verdicts, strict=True):
            log.warning("Job %d, from the journal of %s: %s", outcome.job_id, worker, verdict)

    @property
    def sent_ahead(self) -> bool:
        """Whether turns are under way, all of them with the server."""
        return bool(self.under_way) and self.under_way[-1].sent

    @property
    def wanted(self) -> int:
        """How many jobs may come of the turns that are under way."""
        return sum(asked.wanted for asked in self.under_way)

    def ask(
        self,
        finished: list[Outcome],
        wanted: int,
        first: int | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        """Begins a turn. `ahead`: it is sent now where that can be, to one shard, while answers
        are still to come; else when its own is wanted. Raises nothing."""
        asked = Asked(finished, wanted, first)
        ahead = ahead and all(earlier.sent for earlier in self.under_way)
        self.under_way.append(asked)
        if not ahead or self._follow_ups.concern(finished):
            return
        try:
            home, *others = self._queue.parts()
            if others:
                return
            if self._line is None:
                self._line = home.line()
            self._line.send(home.turn_command(self._worker, finished, wanted, nonce=asked.nonce))
            asked.sent = True
        except (QueueUnavailable, redis.RedisError, OSError) as error:
            self._leave_line(error)

    def answer(self) -> tuple[Asked, Turn]:
        """The first turn that was not answered yet: what was asked, and its answer. As `take`."""
        asked = self.under_way.popleft()
        if asked.sent:
            assert self._line is not None
            try:
                turn = self._queue.parts()[0].turn_of(self._line.receive())
            except (redis.RedisError, OSError) as error:
                self._leave_line(error)
                asked.finished += self._take_back()
                if isinstance(error, redis.TimeoutError):  # another try may take as long
                    self._journal.keep(asked.finished)
            else:
                return asked, self._answered(asked, self._queue.heard(turn))
        asked.finished += self._take_back()
        return asked, self._make(asked)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def take(self, finished: list[Outcome], wanted: int) -> Turn:
        """One turn. What else is finished while it waits is added to `finished`; what can't be told
        is `untold` afterwards.

        The same nonce each time, so that a claim whose answer was lost isn't made twice. Raises
        QueueUnavailable only when the time to stop is over. Claims nothing more once it stops.
        """
        return self._make(Asked(finished, wanted))

    def _make(self, asked: Asked) -> Turn:
        finished, delay_seconds = asked.finished, DELAYS_SECONDS[0]
        while True:
            try:
                self._queue.ensure_schema()
                turn = self._ask(asked)
            except QueueUnavailable as error:
                finished += self._more_finished()
                self._journal.keep(finished)
                stop_by = self._stop_by()
                if stop_by is not None and not finished:
                    return Turn()
                if stop_by is not None and time.monotonic() > stop_by:
                    raise
                log.warning("Waiting for Redis: %s", error)
                self._bell.wait(delay_seconds * self._rng.uniform(0.5, 1.0))
                delay_seconds = min(delay_seconds * 2, DELAYS_SECONDS[1])
            else:
                return self._answered(asked, turn)

    def _answered(self, asked: Asked, turn: Turn) -> Turn:
        self._keep_untold(asked.finished, turn)
        for job in turn.jobs:
            job.leased_at = asked.at
        return turn

    def _leave_line(self, error: Exception) -> None:
        log.debug("Turns that were sent ahead are made again: %s", error)
        if self._line is not None:
            self._line.cut()
        for asked in self.under_way:
            asked.sent = False

    def _take_back(self) -> list[Outcome]:
        """The outcomes of the turns under way, told with an earlier one: while Redis is away, all
        have to be in the journal. What they claim is still asked for with their nonces."""
        outcomes = []
        for asked in self.under_way:
            outcomes += asked.finished
            asked.finished = []
        return outcomes

    def _ask(self, asked: Asked) -> Turn:
        finished = asked.finished
        ready = self._follow_ups.submit(finished)
        turn = self._queue.turn(
            self._worker, ready, asked.wanted, nonce=asked.nonce, first=asked.first
        )
        if len(ready) == len(finished):
            return turn
        said = dict(zip(map(id, ready), turn.verdicts, strict=True))
        return replace(turn, verdicts=[said.get(id(outcome), "away") for outcome in finished])

    def _keep_untold(self, finished: list[Outcome], turn: Turn) -> None:
        pairs = zip(finished, turn.verdicts, strict=True)
        away = [outcome for outcome, verdict in pairs if verdict == "away"]
        if away:
            self._journal.keep(away)
        elif not self.untold:
            self._journal.clear()
        self.untold += away
