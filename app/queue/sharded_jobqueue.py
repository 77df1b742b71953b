"""`ShardedJobQueue`: the verbs over all shards of a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from app.queue import growth
from app.queue.answers import Promotion, Reaping, Renewal, Turn
from app.queue.errors import (
    IdempotencyConflict,
    JobNotFound,
    LayoutChanging,
    QueueUnavailable,
)
from app.queue.job import Job
from app.queue.jobqueue import JobQueue, new_nonce
from app.queue.outcome import Outcome
from app.queue.repairing import RepairStep
from app.queue.sharded_submission import submit_each_to_shards, submit_to_shards
from app.queue.sharded_turns import ShardedTurns
from app.queue.shards import Shards
from app.queue.submission import NewJob, Packed, Submitted, pack
from app.queue.together import Answer, Together

log = logging.getLogger(__name__)

Mark = Literal["ok", "cancel", "lost"]
_Answer = TypeVar("_Answer")
_TurnOrRenewal = TypeVar("_TurnOrRenewal", Turn, Renewal)

# A process that only reads hears of new shards within so long.
LAYOUT_SECONDS = 1.0


class ShardedJobQueue(JobQueue):
    """One queue in front of those of all shards, the first of which is home: workers report there,
    and rate limits are there. With one shard it hands on what it is asked.

    `on_change` hears that the store has others than were expected. A shard that is away stops what
    needs it and nothing else. What is inherited is made of what it answers itself.
    """

    def __init__(self, shards: Shards, on_change: Callable[[], None] = lambda: None) -> None:
        self.shards = shards
        self.keys = shards.home.keys
        self.lease_ms = shards.home.lease_ms
        self.head_start_ms = shards.home.head_start_ms
        self._on_change = on_change
        self._told = shards.expected
        self._turns = ShardedTurns(shards)
        self._together = Together(self._submit_packed)
        self._layout_checked = False
        self._unchecked: set[int] = set()

    # ── From the application ────────────────────────────────────────────────────────────────

    def submit_many(self, jobs: Sequence[NewJob]) -> list[Submitted | IdempotencyConflict]:
        """As of one shard, but atomic for each shard's part of a step. What is raised, be it
        LayoutChanging, may be about some of the jobs: `submit_each` says which."""
        answers = submit_to_shards(self.shards, [(job, pack(job)) for job in jobs])
        self._tell()
        return answers

    def submit_one(self, job: NewJob) -> Submitted | IdempotencyConflict:
        answer = self._together.submit((job, pack(job)))
        if isinstance(answer, QueueUnavailable):
            raise answer
        return answer

    def submit_each(
        self, jobs: Sequence[NewJob]
    ) -> list[Submitted | IdempotencyConflict | QueueUnavailable]:
        answers = self._submit_packed([(job, pack(job)) for job in jobs])
        errors = [answer for answer in answers if isinstance(answer, QueueUnavailable)]
        if errors and len(errors) == len(answers):
            raise errors[0]
        return answers

    def retry(self, job_id: int) -> None:
        self._at_its_shard(job_id, lambda queue: queue.retry(job_id))

    def cancel(self, job_id: int) -> bool:
        return self._at_its_shard(job_id, lambda queue: queue.cancel(job_id))

    def delete(self, job_id: int) -> None:
        self._at_its_shard(job_id, lambda queue: queue.delete(job_id))

    def pause(self) -> bool:
        """False: all shards were paused already. Pauses those that it reaches, before it raises
        for one that it can't."""
        return self._steer(lambda queue: queue.pause())

    def resume(self) -> bool:
        return self._steer(lambda queue: queue.resume())

    def ensure_schema(self) -> None:
        """Makes sure, once, of the layout as well, and of the schema of each shard as soon as it
        is there, and that it is no other store's. Then it follows what the store says of them."""
        if not self._layout_checked:
            self.shards.home.ensure_schema()
            self.shards.home.ensure_home(self.keys.prefix)
            if warning := growth.ensure_layout(self.shards):
                log.warning(warning)
            self._unchecked = set(range(self.shards.layout.shards))
            self._layout_checked = True
            self._tell()
        for number in list(self._unchecked):
            try:
                with self.shards.asking(number) as queue:
                    queue.ensure_schema()
                    queue.ensure_home(self.keys.prefix)
            except QueueUnavailable:
                continue
            self._unchecked.discard(number)

    def follow(self, older_than_seconds: float = LAYOUT_SECONDS) -> None:
        """Hears of shards that were added, by asking home now and then."""
        if self.shards.is_known_since(older_than_seconds):
            self._tell()
            return
        try:
            with self.shards.asking(0):
                self.shards.refresh(older_than_seconds)
            self._tell()
        except QueueUnavailable:
            pass  # what is known holds

    def upgrade(self) -> list[int]:
        """The schemas that any shard passed."""
        self.shards.refresh()
        return sorted({schema for queue in self.shards.all for schema in queue.upgrade()})

    def check_writable(self) -> list[str]:
        """What is wrong with some shards, while home and others are there. Raises LayoutChanging
        when adding shards was not finished."""
        self.follow()
        wrong = []
        for number, queue in enumerate(self.parts()):
            try:
                queue.check_writable()
                if queue.shard_facts().era != self.shards.layout.era.mark:
                    raise LayoutChanging
            except LayoutChanging:
                raise
            except QueueUnavailable as error:
                if number == 0:
                    raise
                wrong.append(f"Shard {number} is away: {error}")
        return wrong

    def now(self) -> float:
        """Home's time; while it is away, another server's."""
        return self._first_that_serves(lambda queue: queue.now())

    # ── From a worker ───────────────────────────────────────────────────────────────────────

    def turn(
        self,
        worker: str,
        outcomes: Sequence[Outcome],
        wanted: int,
        *,
        nonce: str | None = None,
        first: int | None = None,
    ) -> Turn:
        """Settles `outcomes`, each at its shard, then claims up to `wanted` jobs from the first
        shard that has some, beginning with `first`: they can begin before the others are asked.

        Fewer than wanted says nothing of the other shards; none says that no shard that is there
        has any. Raises QueueUnavailable when no shard was there of those that had to be asked.
        """
        if self.shards.layout.shards == 1:
            return self.heard(self.shards.home.turn(worker, outcomes, wanted, nonce=nonce))
        return self.heard(
            self._turns.turn(worker, outcomes, wanted, nonce or new_nonce(), first=first)
        )

    def renew(
        self,
        worker: str,
        jobs: Sequence[Job],
        presence: dict[str, Any] | None = None,
        *,
        sending: bool = False,
        report: bool = True,
    ) -> Renewal:
        """As of one shard: presence goes home, and every shard is asked whether work waits."""
        one_shard = self.shards.layout.shards == 1
        ask = self.shards.home if one_shard else self._turns
        return self.heard(ask.renew(worker, jobs, presence, sending=sending, report=report))

    def mark_sending(self, job: Job) -> Mark:
        return self._marked(job, lambda queue: queue.mark_sending(job))

    def mark_begun(self, job: Job) -> Mark:
        return self._marked(job, lambda queue: queue.mark_begun(job))

    def take(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        return self.shards.home.take(job_id, intervals_ms)

    def abandon(self, job: Job) -> None:
        self.shards.of_job(job.id).abandon(job)

    def wake(self, key: str) -> None:
        self.shards.home.wake(key)

    # ── Housekeeping: workers do it shard by shard (`parts`) ────────────────────────────────

    def promote(self, limit: int = 500) -> Promotion:
        """Up to `limit` in each shard."""
        found = self._everywhere(lambda queue: queue.promote(limit))
        due = [one.next_due_ms for one in found if one.next_due_ms is not None]
        return Promotion(sum(one.moved for one in found), min(due, default=None))

    def reap(self, limit: int = 100) -> Reaping:
        """Up to `limit` in each shard. `held`: in some."""
        found = self._everywhere(lambda queue: queue.reap(limit))
        return Reaping(
            [job_id for one in found for job_id in one.requeued],
            [job_id for one in found for job_id in one.poisoned],
            any(one.held for one in found),
        )

    def finished(self) -> int:
        return sum(self._everywhere(lambda queue: queue.finished()))

    def trim(
        self,
        *,
        success_max_age_ms: int = 0,
        failed_max_age_ms: int = 0,
        max_jobs: int = 0,
        limit: int = 100,
    ) -> int:
        """Each shard may keep its share of `max_jobs`, as many as it has now of all there are."""
        parts = self.parts()  # once: another thread may hear of more meanwhile
        bounds = [0] * len(parts)
        if max_jobs:
            bounds = shares(max_jobs, [queue.finished() for queue in parts])
        ages: dict[str, Any] = {
            "success_max_age_ms": success_max_age_ms,
            "failed_max_age_ms": failed_max_age_ms,
        }
        pairs = zip(parts, bounds, strict=True)
        return sum(queue.trim(max_jobs=bound, limit=limit, **ages) for queue, bound in pairs)

    def wipe_payloads(self, *, success_age_ms: int, limit: int = 100) -> int:
        return sum(
            self._everywhere(
                lambda queue: queue.wipe_payloads(success_age_ms=success_age_ms, limit=limit)
            )
        )

    def operate(self, limit: int = 100) -> bool:
        return any(self._everywhere(lambda queue: queue.operate(limit)))

    def repair_steps(self, *, dry_run: bool = False) -> Iterator[RepairStep]:
        """One shard after the other; the lines say which."""
        looked_at = 0
        for number, queue in enumerate(self.parts()):
            step = RepairStep([], 0)
            for step in queue.repair_steps(dry_run=dry_run):
                lines = step.lines
                if self.shards.layout.shards > 1:
                    lines = [f"shard {number}: {line}" for line in lines]
                yield RepairStep(lines, looked_at + step.looked_at)
            looked_at += step.looked_at

    def repair_size(self) -> int:
        return sum(queue.repair_size() for queue in self.parts())

    def parts(self) -> list[JobQueue]:
        return self.shards.all

    # ── Steps ───────────────────────────────────────────────────────────────────────────────

    def _submit_packed(self, jobs: Sequence[Packed]) -> list[Answer]:
        answers = submit_each_to_shards(self.shards, jobs)
        self._tell()
        return answers

    def heard(self, answer: _TurnOrRenewal) -> _TurnOrRenewal:
        """Looks at the layout when a shard has another era than is known."""
        if answer.era and answer.era != self.shards.layout.era.mark:
            self.follow(older_than_seconds=0.0)
        return answer

    def _tell(self) -> None:
        layout = self.shards.layout
        if layout != self._told:
            log.warning("The store has %d shards by now", layout.shards)
            self._told = layout
            self._unchecked |= set(range(layout.shards))
            self._on_change()

    def _marked(self, job: Job, mark: Callable[[JobQueue], Mark]) -> Mark:
        """A child process may not have heard of the shard that its job is in."""
        asked = self.shards.of_job(job.id)
        verdict = mark(asked)
        if verdict == "lost":
            self.follow(older_than_seconds=0.0)
            if (right := self.shards.of_job(job.id)) is not asked:
                return mark(right)
        return verdict

    def _at_its_shard(self, job_id: int, act: Callable[[JobQueue], _Answer]) -> _Answer:
        try:
            return act(self.shards.of_job(job_id))
        except JobNotFound:
            before = self.shards.number_of(job_id)
            self.follow(older_than_seconds=0.0)
            if self.shards.number_of(job_id) == before:
                raise
            return act(self.shards.of_job(job_id))

    def _everywhere(self, act: Callable[[JobQueue], _Answer]) -> list[_Answer]:
        """Every shard does it, before it raises for one that is away."""
        answers, error = [], None
        for queue in self.parts():
            try:
                answers.append(act(queue))
            except QueueUnavailable as found:
                error = found
        if error:
            raise error
        return answers

    def _steer(self, act: Callable[[JobQueue], bool]) -> bool:
        """At home first, then in all shards that there are by then: whoever adds some looks at
        home after they can be seen here."""
        changed = any(self._everywhere(act))
        while self.shards.refresh():
            self._tell()
            changed |= any(self._everywhere(act))
        return changed

    def _first_that_serves(self, ask: Callable[[JobQueue], _Answer]) -> _Answer:
        error: QueueUnavailable | None = None
        numbers = range(self.shards.layout.shards)
        for number in sorted(numbers, key=lambda number: not self.shards.serves(number)):
            try:
                with self.shards.asking(number) as queue:
                    return ask(queue)
            except QueueUnavailable as found:
                error = found
        assert error
        raise error


def shares(max_jobs: int, finished: Sequence[int]) -> list[int]:
    """How many finished jobs each shard may keep, that has so many; together `max_jobs`, but for
    shards that would have to do without any. 0: any number."""
    everything = sum(finished)
    if everything <= max_jobs:
        return [0] * len(finished)
    return [max(1, max_jobs * jobs // everything) for jobs in finished]
