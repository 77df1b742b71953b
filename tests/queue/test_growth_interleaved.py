"""Who adds shards, starts, submits and pauses at the same time, in any order, and is killed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis

from app.queue import growth, sharded_submission
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.growth import grow
from app.queue.jobqueue import JobQueue
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.submission import NewJob
from tests.queue.baton import Baton
from tests.queue.sharded import check_shards, sharded

SEEDS = int(os.environ.get("GROWTH_SEEDS", "40"))
FOR_EVER = 10**6
MOST = 6  # shards


class Chaos:
    """A store, what was told of it, and what may be done to it."""

    def __init__(self, client: redis.Redis, chance: random.Random, shards: int) -> None:
        self._client = client
        self._chance = chance
        self.known: dict[str, int] = {}
        self.ids: set[int] = set()
        self.paused = False
        self.queue = sharded(client, shards)
        # Of processes that know only what was there at the beginning.
        self._views = [sharded(client, shards) for _ in range(5)]

    def grows(self) -> None:
        with suppress(ServerUnsuitable):
            grow(self._views.pop().shards, self._number())

    def starts(self) -> None:
        with suppress(ServerUnsuitable):
            sharded(self._client, self._number())

    def submits(self) -> None:
        queue = self._views.pop()
        for _ in range(20):
            keys = [f"k{self._chance.randrange(12)}" for _ in range(3)]
            jobs = [*(NewJob("noop", idempotency_key=key) for key in keys), NewJob("noop")]
            answers = self._answers(queue, jobs)
            self.ids.update(answers)
            for key, answer in zip(keys, answers, strict=False):
                assert self.known.setdefault(key, answer) == answer

    def pauses(self) -> None:
        queue = self._views.pop()
        for _ in range(self._chance.randrange(8)):
            self.paused = not self.paused
            queue.pause() if self.paused else queue.resume()

    def _answers(self, queue: ShardedJobQueue, jobs: list[NewJob]) -> list[int]:
        try:
            return [answer.job_id for answer in queue.submit_many(jobs)]
        except QueueUnavailable:
            return []

    def _number(self) -> int:
        return self._chance.randint(2, MOST)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_whatever_order_ids_keep_their_jobs_and_all_shards_end_in_one_era(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(sharded_submission, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(growth, "MARGIN", 30)
    chance = random.Random(seed)
    chaos = Chaos(client, chance, shards=chance.randint(1, 3))
    if chance.random() < 0.7:
        chaos.queue.submit("noop")
    baton = Baton(chance)
    baton.at_each(monkeypatch, JobQueue, "layout", "shard_facts", "begin_era", "submit_steps")
    baton.at_each(monkeypatch, JobQueue, "known_keys", "pause", "resume")
    mortals: list[Callable[[], None]] = [chaos.grows, chaos.grows, chaos.starts, chaos.starts]
    others: list[Callable[[], None]] = [chaos.submits, chaos.submits, chaos.pauses]
    lives = [chance.choice([FOR_EVER, chance.randrange(40)]) for _ in mortals]

    baton.run([*mortals, *others], [*lives, *[FOR_EVER] * len(others)])

    chaos.queue.shards.refresh()
    # The same command finishes it; and what was begun with more is no bar to any number.
    for number in (chaos.queue.shards.layout.shards, MOST):
        layout = grow(chaos.queue.shards, number)
        facts = [part.shard_facts() for part in chaos.queue.parts()]
        assert {one.era for one in facts} == {layout.era.mark}
        assert len({one.paused for one in facts}) == 1
    assert facts[0].paused == chaos.paused
    for key, job_id in chaos.known.items():
        assert chaos.queue.submit("noop", idempotency_key=key) == job_id
    assert chaos.ids <= check_shards(client, chaos.queue).keys()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_two_who_add_the_same_number_of_shards_do_not_leap_over_each_other(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    queue = sharded(client, 1)
    last_id = queue.submit("noop")
    views = [sharded(client, 1) for _ in range(2)]
    baton = Baton(chance)
    baton.at_each(monkeypatch, JobQueue, "layout", "shard_facts", "begin_era")

    baton.run([lambda view=view: grow(view.shards, MOST) for view in views], [FOR_EVER] * 2)

    queue.shards.refresh()
    layout = queue.shards.layout
    assert layout.shards == MOST
    assert {part.shard_facts().era for part in queue.parts()} == {layout.era.mark}
    assert layout.era.first_id < last_id + 2 * growth.MARGIN
