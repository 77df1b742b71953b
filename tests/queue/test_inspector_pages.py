"""Every page equals a brute-force sort of all jobs: any sort, direction, filter, offset, size."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.queue.inspector import LIMIT_MAX, LOOK_MAX, SORTS, Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.keys import Keys
from app.queue.scripts import script_source
from tests.queue.listing_reference import cut, matching, sort
from tests.queue.listing_store import (
    JOB_TYPES,
    SHAPES,
    STARTED_MS,
    TAGS,
    make_record,
    write,
)

PREFIX = "pages:"
TIE_MAX = 500  # as in `window.lua`


SEARCHES = (
    *("ann@example.com", "BOB@example.COM", "jörg@bücher.example", "nobody@example.com"),
    *("@example.com", "@Example.org", "@bücher.example", "#invoice", "12"),
    *("welcome", "Your invoice", "übersicht", "ÜBERSICHT 2", "x" * 64, "nothing"),
)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_equals_the_brute_force_page(client: redis.Redis, shape: str) -> None:
    # Larger ties are not put in order.
    job_count = TIE_MAX if shape == "one_instant" else 3_000
    check_pages(client, shape, job_count=job_count, filter_count=5)


@pytest.mark.parametrize("time", ["picked_at", "completed_at"])
def test_pages_of_a_large_tie_hold_each_job_once(client: redis.Redis, time: str) -> None:
    records = list(SHAPES["one_instant"](random.Random(1), 3_000))
    write(client, Keys(PREFIX), records)
    inspector = Inspector(client, prefix=PREFIX)

    for descending in (False, True):
        query = JobQuery(sort=time, descending=descending, limit=LIMIT_MAX)
        pages = [inspector.page(replace(query, page=page)) for page in range(1, 17)]

        found = [job for page in pages for job in page.jobs]
        assert sorted(job.id for job in found) == [record["id"] for record in records]
        has_time = [getattr(job, time) is not None for job in found]
        assert has_time == sorted(has_time, reverse=True)


@pytest.mark.parametrize("tied", [TIE_MAX - 1, TIE_MAX, TIE_MAX + 1, 620])
def test_pages_of_a_tie_about_as_large_as_is_put_in_order_hold_each_job_once(
    client: redis.Redis, tied: int
) -> None:
    # How much of the tie a page has to read differs from page to page.
    rng = random.Random(tied)
    ids = rng.sample(range(1, 10**5), tied + 100)
    times = [STARTED_MS - 1] * 70 + [STARTED_MS] * tied + [STARTED_MS + 1] * 30
    records = [
        make_record(rng, job_id, picked_ms=at, status=Status.FAILED)
        for job_id, at in sorted(zip(ids, times, strict=True))
    ]
    write(client, Keys(PREFIX), records)
    inspector = Inspector(client, prefix=PREFIX)

    for limit in (50, LIMIT_MAX):
        for descending in (False, True):
            query = JobQuery(sort="picked_at", descending=descending, limit=limit)
            found = [
                job.id
                for page in range(1, -(-len(records) // limit) + 1)
                for job in inspector.page(replace(query, page=page)).jobs
            ]
            assert sorted(found) == sorted(ids)
            if tied <= TIE_MAX:
                assert found == [r["id"] for r in sort(records, "picked_at", descending)]


@pytest.mark.needs_redis_server
@pytest.mark.parametrize("shape", ["mixed", "bursts"])
def test_a_page_equals_the_brute_force_page_on_redis_7_0(
    debian_client: redis.Redis, shape: str
) -> None:
    check_pages(debian_client, shape, job_count=2_000, filter_count=2)


def test_a_page_equals_the_brute_force_page_on_fakeredis(fake_client: redis.Redis) -> None:
    check_pages(fake_client, "mixed", job_count=400, filter_count=1, source=without_flags)


def test_a_page_of_few_jobs_or_none_equals_the_brute_force_page(client: redis.Redis) -> None:
    for job_count in (0, 1, 2, 149, 152, 201):
        check_pages(client, "mixed", job_count=job_count, filter_count=1)


def without_flags(name: str) -> str:
    # fakeredis can't read the line with the server's flags.
    return script_source(name).split("\n", 1)[1]


def check_pages(
    client: redis.Redis,
    shape: str,
    *,
    job_count: int,
    filter_count: int,
    source: Callable[[str], str] = script_source,
) -> None:
    """Compares pages for every sort and direction, for no filter and `filter_count` others."""
    rng = random.Random(f"{shape} {job_count}")
    records = list(SHAPES[shape](rng, job_count))
    client.flushall()
    write(client, Keys(PREFIX), records)
    inspector = Inspector(client, prefix=PREFIX, source=source)

    searched = [JobQuery(q=q) for q in rng.sample(SEARCHES, filter_count)]
    filtered = [random_filter(rng) for _ in range(filter_count)]
    for base in [JobQuery(), *searched, *filtered]:
        found = matching(records, base)
        for by in SORTS:
            for descending in (False, True):
                limit = rng.choice((1, 7, 50, LIMIT_MAX))
                query = replace(base, sort=by, descending=descending, limit=limit, look=LOOK_MAX)
                ordered = sort(found, by, descending)
                for page in pages_to_try(rng, len(found), limit):
                    check_page(inspector, ordered, replace(query, page=page))


def test_a_page_by_two_tags_and_a_search_equals_the_brute_force_page(client: redis.Redis) -> None:
    records = list(SHAPES["mixed"](random.Random(2), 2_000))
    write(client, Keys(PREFIX), records)
    inspector = Inspector(client, prefix=PREFIX)

    for q in SEARCHES:
        for tag in ("invoice", "rare"):
            for query in (
                JobQuery(q=q, tag=tag, limit=7),
                JobQuery(q=q, tag=tag, sort="picked_at", descending=False),
                JobQuery(q=q, tag=tag, status=Status.FAILED),
            ):
                ordered = sort(matching(records, query), query.sort, query.descending)
                check_page(inspector, ordered, replace(query, look=LOOK_MAX))


def random_filter(rng: random.Random) -> JobQuery:
    return JobQuery(
        status=rng.choice((None, *Status)),
        job_type=rng.choice((None, *JOB_TYPES)),
        priority=rng.choice((None, *Priority)),
        tag=rng.choice((None, None, *TAGS)),
        q=rng.choice((*[None] * len(SEARCHES), *SEARCHES)),
    )


def pages_to_try(rng: random.Random, total: int, limit: int) -> set[int]:
    last = max(1, -(-total // limit))
    return {1, 2, last // 2 + 1, rng.randint(1, last), last, last + 1}


def check_page(inspector: Inspector, ordered: list[dict[str, Any]], query: JobQuery) -> None:
    page = inspector.page(query)
    found = [job.id for job in page.jobs]
    assert (found, page.total) == cut(ordered, query), query
    assert page.complete
