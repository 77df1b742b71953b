"""A page over shards equals a brute-force sort of all jobs, wherever they lie."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import fakeredis
import pytest
import redis

from app.queue.inspector import LIMIT_MAX, LOOK_MAX, SORTS, JobQuery
from app.queue.job import Status
from app.queue.keys import Keys
from app.queue.scripts import script_source
from app.queue.sharded_inspector import ShardedInspector
from app.queue.submission import NewJob
from tests.queue.conftest import REDIS_7_0
from tests.queue.listing_reference import cut, matching, sort
from tests.queue.listing_store import SHAPES, STARTED_MS, Record, make_record, write
from tests.queue.sharded_store import SHARDS, open_shards, prefix_of
from tests.queue.test_inspector_pages import (
    SEARCHES,
    pages_to_try,
    random_filter,
    without_flags,
)
from tests.queue.virtual_time import Clock, virtual_source


def batches(job_number: int) -> int:
    return job_number // 25


def uneven(job_number: int) -> int:
    """Shard 2 has nothing, shard 0 almost all."""
    return 0 if job_number % 20 else 1 + 2 * (job_number % 3 > 0)


# Which shard the n-th job lies in.
SPREADS: dict[str, Callable[[int], int]] = {
    "evenly": lambda n: n,
    "in batches": batches,
    "unevenly": uneven,
    "grown": lambda n: n if n > 1500 else 0,
}


def spread(records: list[Record], where: Callable[[int], int]) -> list[list[Record]]:
    """Gives the records to the shards, which count ids each for itself, so that over shards ids are
    not in order of creation. Holes stay; batches have one time of creation."""
    parts: list[list[Record]] = [[] for _ in range(SHARDS)]
    last_id = [0] * SHARDS
    for n, record in enumerate(records):
        shard = where(n) % SHARDS
        hole = record["id"] - records[n - 1]["id"] if n else 1
        last_id[shard] += hole
        changed = {
            "id": last_id[shard] * SHARDS + shard,
            "created_at": record["created_at"] // 40 * 40,
        }
        parts[shard].append(record | changed)
    return parts


def open_listing(
    client: redis.Redis,
    parts: list[list[Record]],
    source: Callable[[str], str] = script_source,
) -> ShardedInspector:
    client.flushall()
    for shard, part in enumerate(parts):
        if part:
            write(client, Keys(prefix_of(shard)), part)
    return open_shards(client, source).inspector


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        *[("mixed", where) for where in SPREADS],
        ("bursts", "in batches"),
        ("doubling", "grown"),
    ],
)
def test_a_page_equals_the_brute_force_page(client: redis.Redis, shape: str, where: str) -> None:
    # Ids must stay under 2^43.
    job_count = 600 if shape == "doubling" else 3_000
    check_pages(client, shape, where, job_count=job_count, filter_count=2)


@pytest.mark.parametrize("store", ["fake_client", REDIS_7_0], indirect=True)
def test_a_page_equals_the_brute_force_page_on_other_servers(store: redis.Redis) -> None:
    is_fake = isinstance(store, fakeredis.FakeRedis)
    source = without_flags if is_fake else script_source
    check_pages(store, "mixed", "evenly", job_count=400, filter_count=1, source=source)


def test_a_page_of_few_jobs_or_none_equals_the_brute_force_page(client: redis.Redis) -> None:
    for job_count in (0, 1, 2, 7):
        check_pages(client, "mixed", "evenly", job_count=job_count, filter_count=1)


def check_pages(
    client: redis.Redis,
    shape: str,
    where: str,
    *,
    job_count: int,
    filter_count: int,
    source: Callable[[str], str] = script_source,
) -> None:
    """Compares pages for every sort and direction, for no filter and `filter_count` others."""
    rng = random.Random(f"{shape} {where} {job_count}")
    parts = spread(list(SHAPES[shape](rng, job_count)), SPREADS[where])
    records = [record for part in parts for record in part]
    inspector = open_listing(client, parts, source)

    searched = [JobQuery(q=q) for q in rng.sample(SEARCHES, filter_count)]
    filtered = [random_filter(rng) for _ in range(filter_count)]
    person = JobQuery(q="ann@example.com")
    for base in [JobQuery(), JobQuery(tag="welcome"), person, *searched, *filtered]:
        found = matching(records, base)
        for by in SORTS:
            for descending in (False, True):
                limit = rng.choice((1, 7, 50, LIMIT_MAX))
                query = replace(base, sort=by, descending=descending, limit=limit, look=LOOK_MAX)
                ordered = sort(found, by, descending)
                for page in pages_to_try(rng, len(found), limit):
                    check_page(inspector, ordered, replace(query, page=page))


@pytest.mark.parametrize("tied", [500, 501, 620, 3000])
def test_pages_of_a_large_tie_hold_each_job_once(client: redis.Redis, tied: int) -> None:
    """More than 500 jobs of one time in a shard are not in order of ids, fewer are."""
    rng = random.Random(tied)
    # Shard 0 has the large tie, 1 a small one, 2 another large one.
    sizes, times = (tied, 90, 700, 0), [STARTED_MS - 1, STARTED_MS, STARTED_MS + 1]
    parts = []
    for shard, size in enumerate(sizes):
        moments = [times[0]] * 60 + [times[1]] * size + [times[2]] * 60
        ids = sorted(rng.sample(range(1, 10**5), len(moments)))
        parts.append(
            [
                make_record(rng, i * SHARDS + shard, picked_ms=at, status=Status.FAILED)
                for i, at in zip(ids, moments, strict=True)
            ]
        )
    inspector = open_listing(client, parts)
    records = [record for part in parts for record in part]

    for descending in (False, True):
        query = JobQuery(sort="picked_at", descending=descending, limit=LIMIT_MAX)
        pages = range(1, -(-len(records) // LIMIT_MAX) + 1)
        found = [job for page in pages for job in inspector.page(replace(query, page=page)).jobs]
        assert sorted(job.id for job in found) == sorted(record["id"] for record in records)
        at = [job.picked_at for job in found]
        assert at == sorted(at, reverse=descending)
        ends = sort([r for r in records if r["picked_at"] != times[1]], "picked_at", descending)
        assert [job.id for job in found if job.picked_at != times[1] / 1000] == [
            record["id"] for record in ends
        ]


def test_pages_by_time_of_creation_hold_each_job_once_after_the_clock_stepped_back(
    client: redis.Redis,
) -> None:
    clock, sharded = Clock(client), open_shards(client, virtual_source(client))
    rng = random.Random(1)
    for step_ms in [1] * 150 + [-50] + [1] * 150:
        for _ in range(rng.choice((1, 3, 8))):
            sharded.submit(rng.randrange(SHARDS), NewJob("noop"))
        clock.advance(ms=step_ms)
    jobs = [job for some in sharded.inspector.walk(JobQuery()) for job in some]

    for descending in (False, True):
        query = JobQuery(sort="created_at", descending=descending, limit=50)
        pages = range(1, -(-len(jobs) // 50) + 1)
        shown = [
            job.id
            for page in pages
            for job in sharded.inspector.page(replace(query, page=page)).jobs
        ]
        jobs.sort(key=lambda job: (job.created_at, job.id), reverse=descending)
        assert shown == [job.id for job in jobs]


def check_page(inspector: ShardedInspector, ordered: list[Record], query: JobQuery) -> None:
    page = inspector.page(query)
    assert ([job.id for job in page.jobs], page.total) == cut(ordered, query), query
    assert page.complete
