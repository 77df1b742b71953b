"""Pages of all jobs in order of ids: from the ids alone, where these tell, and always right."""

from __future__ import annotations

import random

import pytest
import redis

from app.queue.inspector import Inspector, JobQuery
from app.queue.keys import Keys
from tests.queue.listing_store import make_record, write

JOBS = 900
PREFIX = "ids:"
# Which of the ids are jobs no more.
REMOVED = {
    "none": [],
    "the oldest": [*range(1, 401)],
    "some of the newest": [*range(JOBS - 350, JOBS, 5)],
    "all of the newest": [*range(JOBS - 250, JOBS + 1)],
    "all but a few": [number for number in range(1, JOBS + 1) if number not in (3, 870, 899)],
    "all": [*range(1, JOBS + 1)],
}


def inspect(client: redis.Redis, removed: list[int]) -> tuple[Inspector, list[int]]:
    """A store from which these jobs were removed, and the ids of the others."""
    rng = random.Random(1)
    ids = sorted({*range(1, JOBS + 1)} - {*removed})
    write(client, Keys(PREFIX), [make_record(rng, job_id, picked_ms=job_id) for job_id in ids])
    client.set(Keys(PREFIX).counter, JOBS)
    return Inspector(client, prefix=PREFIX), ids


def looks_at_buckets(client: redis.Redis) -> int:
    return int(client.info("commandstats").get("cmdstat_zcard", {"calls": 0})["calls"])


@pytest.mark.parametrize("limit", [50, 200])
@pytest.mark.parametrize("sort", ["id", "created_at"])
@pytest.mark.parametrize("removed", REMOVED.values(), ids=REMOVED.keys())
def test_every_page_has_the_jobs_that_are_there(
    client: redis.Redis, removed: list[int], sort: str, limit: int
) -> None:
    inspector, ids = inspect(client, removed)

    for descending in (False, True):
        in_order = ids[::-1] if descending else ids
        for number in range(1, JOBS // limit + 3):
            page = inspector.page(
                JobQuery(sort=sort, descending=descending, page=number, limit=limit)
            )
            assert [job.id for job in page.jobs] == in_order[(number - 1) * limit : number * limit]
            assert page.total == len(ids)


@pytest.mark.parametrize(
    ("removed", "pages"), [("none", (1, 9, 18)), ("the oldest", (1,)), ("some of the newest", (1,))]
)
def test_where_ids_tell_no_bucket_is_looked_at(
    client: redis.Redis, removed: str, pages: tuple[int, ...]
) -> None:
    inspector, _ = inspect(client, REMOVED[removed])
    before = looks_at_buckets(client)

    for number in pages:
        assert len(inspector.page(JobQuery(page=number)).jobs) == 50

    assert looks_at_buckets(client) == before


def test_a_store_that_lost_its_counter_is_still_listed(client: redis.Redis) -> None:
    inspector, ids = inspect(client, REMOVED["the oldest"])
    client.delete(Keys(PREFIX).counter)

    page = inspector.page(JobQuery())

    assert [job.id for job in page.jobs] == ids[:-51:-1]
