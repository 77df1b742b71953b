"""A worker's round trips to the queue, each of them made until it is answered."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.queue.answers import Turn
from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import CLAIM_MAX, new_nonce
from app.queue.outcome import Outcome
from app.queue.sharded_jobqueue import ShardedJobQueue
from workers.bell import Bell
from workers.follow_ups import FollowUps
from workers.journal import Journal, journals, left_behind

log = logging.getLogger(__name__)

DELAYS_SECONDS = (0.1, 5.0)


class Turns:
    """Settles and claims for `worker`, in one thread, however long Redis is away: what was
    finished must be told, and is in a journal of `folder` meanwhile.

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

    def take(self, finished: list[Outcome], wanted: int, first: int | None = None) -> Turn:
        """One turn. What else is finished while it waits is added to `finished`; what can't be told
        is `untold` afterwards.

        The same nonce each time, so that a claim whose answer was lost isn't made twice. Raises
        QueueUnavailable only when the time to stop is over. Claims nothing more once it stops.
        """
        nonce, delay_seconds = new_nonce(), DELAYS_SECONDS[0]
        asked_at = time.monotonic()
        while True:
            try:
                self._queue.ensure_schema()
                turn = self._ask(finished, wanted, nonce, first)
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
                self._keep_untold(finished, turn)
                for job in turn.jobs:
                    job.leased_at = asked_at
                return turn

    def _ask(self, finished: list[Outcome], wanted: int, nonce: str, first: int | None) -> Turn:
        ready = self._follow_ups.submit(finished)
        turn = self._queue.turn(self._worker, ready, wanted, nonce=nonce, first=first)
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
