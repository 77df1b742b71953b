"""A store made by the first release (0.1.0) goes on under this code, nothing lost.

`data/store-0.1.0.json` holds it, key by key: 19 jobs in every status, with tags, people and
idempotency keys.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.outcome import completed
from app.queue.schema import SCHEMA, UpgradeNeeded, check_schema, upgrade
from app.queue.submission import NewJob
from tests.queue.invariants import check

STORE = Path(__file__).parent / "data" / "store-0.1.0.json"
# Made with the first version that had `make run`: five jobs done, six scheduled.
DRAFT = STORE.with_name("store-draft.json")
COUNTS = {
    Status.SCHEDULED: 1,
    Status.PENDING: 8,
    Status.PROCESSING: 4,
    Status.SUCCESS: 2,
    Status.FAILED: 2,
    Status.PERMANENTLY_FAILED: 1,
    Status.CANCELLED: 1,
}


@pytest.fixture
def old(client: redis.Redis) -> redis.Redis:
    """The store, upgraded."""
    fill(client, STORE)
    upgrade(client, Keys())
    check_schema(client, Keys())
    return client


def fill(client: redis.Redis, store: Path) -> None:
    for key, (kind, value) in json.loads(store.read_text(encoding="utf-8")).items():
        match kind:
            case "string":
                client.set(key, value)
            case "hash":
                client.hset(key, mapping=value)
            case "set":
                client.sadd(key, *value)
            case "zset":
                client.zadd(key, dict(value))


def test_every_job_is_where_it_was(old: redis.Redis) -> None:
    inspector = Inspector(old)

    check(old)
    assert old.hget("Meta", "schema") == str(SCHEMA)
    assert inspector.counts() == COUNTS
    assert inspector.page(JobQuery()).total == sum(COUNTS.values())
    assert JobQueue(old).repair() == []


def test_jobs_are_read_listed_and_found(old: redis.Redis) -> None:
    inspector = Inspector(old)

    found = inspector.page(JobQuery(q="user2@example.com")).jobs
    assert [(job.title, job.priority, job.request_id) for job in found] == [
        ("Invoice 2", Priority.HIGH, None)
    ]
    assert inspector.page(JobQuery(tag="vip")).total == 6
    [given_up] = inspector.page(JobQuery(status=Status.PERMANENTLY_FAILED)).jobs
    assert [one.smtp_code for one in inspector.attempts(given_up.id)] == [550]


def test_the_rest_is_done_and_new_jobs_come_in(old: redis.Redis) -> None:
    queue, inspector = JobQueue(old), Inspector(old)
    queue.submit("noop")
    jobs: list[Job] = queue.claim("w1", count=50)
    queue.turn("w1", [completed(job) for job in jobs], 0)
    failed = inspector.page(JobQuery(status=Status.FAILED)).jobs
    for job in failed:
        queue.retry(job.id)

    check(old)
    counts = inspector.counts()
    assert counts[Status.SUCCESS] == COUNTS[Status.SUCCESS] + COUNTS[Status.PENDING] + 1
    assert counts[Status.PENDING] == COUNTS[Status.FAILED]


def test_an_old_idempotency_key_still_means_its_job(old: redis.Redis) -> None:
    old_job = Inspector(old).job(4)
    again = NewJob(
        "send_email",
        old_job.payload,
        old_job.priority,
        tags=old_job.tags,
        idempotency_key="key-3",
    )

    [answer] = JobQueue(old).submit_many([again])

    assert (answer.job_id, getattr(answer, "created", None)) == (4, False)


def test_a_store_of_the_first_drafts_is_refused_until_it_is_upgraded(client: redis.Redis) -> None:
    """Its indexes had other names: without the upgrade its jobs were done, and shown nowhere."""
    fill(client, DRAFT)
    with pytest.raises(UpgradeNeeded, match="schema 0"):
        check_schema(client, Keys())

    assert upgrade(client, Keys()) == list(range(1, SCHEMA + 1))

    check_schema(client, Keys())
    check(client)
    queue, inspector = JobQueue(client), Inspector(client)
    assert queue.repair() == []
    counts = inspector.counts()
    assert (counts[Status.SUCCESS], counts[Status.SCHEDULED]) == (5, 6)
    for status, count in ((Status.SUCCESS, 5), (Status.SCHEDULED, 6)):
        assert inspector.page(JobQuery(status=status)).total == count
    queue.promote()
    # How many are due depends on the day.
    waiting = inspector.page(JobQuery(status=Status.SCHEDULED)).total
    assert len(queue.claim("w1", count=50)) + waiting == 6
