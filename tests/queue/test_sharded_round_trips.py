"""How often a page over shards asks them: each time takes a journey there and back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from app.queue import sharded_listing, sharded_spots
from app.queue.asking import ask
from app.queue.query import JobQuery
from tests.queue.listing_reference import sort
from tests.queue.listing_store import Record, make_record
from tests.queue.sharded_store import SHARDS, shard_of
from tests.queue.test_sharded_pages import check_page, open_listing

JOBS = 12_000
WEIGHTS = (1, 2, 3, 6)  # no shard has as many jobs as another
# Of round trips at most. Each asks all shards at once.
AT_MOST = {"id": 5, "created_at": 6, "picked_at": 6, "completed_at": 6}


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls each round trip was made of."""
    seen: list[int] = []

    def counted(calls: Sequence[Callable[[], Any]]) -> list[Any]:
        if calls:
            seen.append(len(calls))
        return ask(calls)

    monkeypatch.setattr(sharded_listing, "ask", counted)
    monkeypatch.setattr(sharded_spots, "ask", counted)
    return seen


def one_by_one(rng: random.Random, n: int) -> tuple[int, int]:
    """Jobs come at random, now more, now fewer of them: the shard, and after how many ms."""
    return rng.choices(range(SHARDS), WEIGHTS)[0], rng.randrange(1 + n // 100)


def in_batches(rng: random.Random, n: int) -> tuple[int, int]:
    batch = random.Random(n // 100)
    return batch.choices(range(SHARDS), WEIGHTS)[0], 0 if n % 100 else batch.randrange(50)


@pytest.mark.parametrize("arrival", [one_by_one, in_batches])
def test_a_page_over_uneven_shards_takes_few_round_trips(
    client: redis.Redis,
    trips: list[int],
    arrival: Callable[[random.Random, int], tuple[int, int]],
) -> None:
    rng = random.Random(arrival.__name__)
    parts: list[list[Record]] = [[] for _ in range(SHARDS)]
    now_ms = 1_750_000_000_000
    for n in range(JOBS):
        shard, later_ms = arrival(rng, n)
        now_ms += later_ms
        job_id = (len(parts[shard]) + 1) * SHARDS + shard
        record = make_record(rng, job_id, picked_ms=now_ms + rng.randrange(20_000))
        parts[shard].append(record | {"created_at": now_ms})
    inspector = open_listing(client, parts)
    records = [record for part in parts for record in part]
    assert all(shard_of(record["id"]) == i for i, part in enumerate(parts) for record in part)

    taken = {by: [0] for by in AT_MOST}
    for by in AT_MOST:
        for descending in (False, True):
            ordered = sort(records, by, descending)
            for page in (1, JOBS // 50, *(rng.randrange(1, JOBS // 50) for _ in range(12))):
                trips.clear()
                query = JobQuery(sort=by, descending=descending, page=page)
                check_page(inspector, ordered, query)
                taken[by].append(len(trips))
    assert {by: max(taken[by]) for by in AT_MOST if max(taken[by]) > AT_MOST[by]} == {}, taken
