"""The queue of several shards against its references, also while shards are added."""

from __future__ import annotations

import random

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.queue.machine import QueueMachine
from tests.queue.sharded_pair import SHARDS, ShardedPair
from tests.queue.test_model import EXAMPLES, STEPS, run
from tests.queue.walk import walk


class ShardedMachine(QueueMachine):
    """Begins with one shard."""

    pair: ShardedPair

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, pair=_from_one)

    @precondition(lambda self: len(self.pair.reference.shards) < SHARDS)
    @rule(more=st.integers(1, 2))
    def grow(self, more: int) -> None:
        self.pair.grow(min(SHARDS, len(self.pair.reference.shards) + more))


def _from_one(client: redis.Redis, _source: object) -> ShardedPair:
    return ShardedPair(client, shards=1)


@pytest.mark.timeout(60 + EXAMPLES * STEPS)
def test_shards_do_what_their_references_do_while_others_are_added(client: redis.Redis) -> None:
    run(client, EXAMPLES // 2, STEPS, ShardedMachine)


@pytest.mark.timeout(60 + EXAMPLES * STEPS)
def test_four_shards_do_what_their_references_do(client: redis.Redis) -> None:
    run(client, EXAMPLES // 4, STEPS, lambda one: QueueMachine(one, pair=ShardedPair))
    for seed in range(3):
        walk(ShardedPair(client), random.Random(seed), steps=100)
