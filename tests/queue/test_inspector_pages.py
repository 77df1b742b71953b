"""Every page equals a brute-force sort of all jobs: any sort, direction, filter, offset, size."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.queue.inspector import LIMIT_MAX, SORTS, Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.keys import Keys
from app.queue.scripts import script_source
from tests.queue.listing_reference import expected_ids, matching
from tests.queue.listing_store import JOB_TYPES, SHAPES, TAGS, write

PREFIX = "pages:"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_equals_the_brute_force_page(client: redis.Redis, shape: str) -> None:
    check_pages(client, shape, job_count=3_000, filter_count=5)


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

    for base in [JobQuery(), *(random_filter(rng) for _ in range(filter_count))]:
        total = len(matching(records, base))
        for sort in SORTS:
            for descending in (False, True):
                limit = rng.choice((1, 7, 50, LIMIT_MAX))
                query = replace(base, sort=sort, descending=descending, limit=limit)
                for page in pages_to_try(rng, total, limit):
                    check_page(inspector, records, replace(query, page=page))


def random_filter(rng: random.Random) -> JobQuery:
    return JobQuery(
        status=rng.choice((None, *Status)),
        job_type=rng.choice((None, *JOB_TYPES)),
        priority=rng.choice((None, *Priority)),
        tag=rng.choice((None, None, *TAGS)),
    )


def pages_to_try(rng: random.Random, total: int, limit: int) -> set[int]:
    last = max(1, -(-total // limit))
    return {1, 2, last // 2 + 1, rng.randint(1, last), last, last + 1}


def check_page(inspector: Inspector, records: list[dict[str, Any]], query: JobQuery) -> None:
    page = inspector.page(query)
    found = [job.id for job in page.jobs]
    assert (found, page.total) == expected_ids(records, query), query
    assert page.complete
