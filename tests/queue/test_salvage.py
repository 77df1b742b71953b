"""Repair of jobs whose record or payload is lost: none disappears, and none is done by surprise."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.inspector import Inspector
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.invariants import check
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.test_repair import IDS, one_of_each
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]

KEPT = ("id", "job_type", "priority", "status", "retry_count", "picked_at", "completed_at", "tags")


@pytest.mark.parametrize(
    "text", [None, "not JSON", "[]", "null", "7", "{}", '{"status": "asleep"}']
)
def test_jobs_without_a_readable_record_are_written_anew_from_the_sets_they_are_in(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find, text: str | None
) -> None:
    one_of_each(queue, clock)
    before = {job_id: find(job_id) for job_id in IDS.values()}
    for job_id in IDS.values():
        if text is None:
            store.hdel("Job_map", str(job_id))
        else:
            store.hset("Job_map", str(job_id), text)

    lines = queue.repair()

    said = "its record was gone" if text is None else "its record could not be read"
    assert sum(said in line for line in lines) == len(IDS)
    assert queue.repair() == []
    check(store)
    for job_id, job in before.items():
        now = find(job_id)
        assert [getattr(now, name) for name in KEPT] == [getattr(job, name) for name in KEPT]
        assert now.payload == job.payload
    kept = {} if text is None else {str(job_id): text for job_id in before}
    assert store.hgetall("Unreadable") == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [("job_type", 7), ("priority", None), ("retry_count", "2"), ("created_at", {}), ("id", 9)],
)
def test_what_can_be_read_of_a_record_is_kept(
    queue: JobQueue, store: redis.Redis, find: Find, field: str, value: Any
) -> None:
    queue.submit("noop", max_retries=7, tags=("a",))
    record = json.loads(store.hget("Job_map", "1") or "")
    store.hset("Job_map", "1", json.dumps(record | {field: value}))

    assert len(queue.repair()) == 1
    found = find(1)
    assert (found.id, found.job_type, found.max_retries, found.tags) == (1, "noop", 7, ("a",))


def test_a_job_of_which_only_the_payload_is_left_is_given_up_where_people_see_it(
    queue: JobQueue, store: redis.Redis, find: Find
) -> None:
    queue.submit("noop", '{"n": 7}')
    payload = store.hget("Job_payload", "1")
    store.flushdb()
    Clock(store)
    store.hset("Job_payload", "1", payload or "")

    assert queue.repair()
    check(store)
    found = find(1)
    assert (found.status, found.payload) == (Status.PERMANENTLY_FAILED, '{"n": 7}')
    assert found.last_error == "repair: nothing but the payload was left of this job"
    assert queue.submit("noop") == 2


def test_a_processing_job_without_a_record_counts_as_perhaps_done(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    claim_one(queue)
    store.hdel("Job_map", "1")
    queue.repair()
    let_leases_run_out(queue, clock)

    assert find(1).status == Status.PENDING
    assert claim_one(queue).unconfirmed


def test_of_two_statuses_the_one_furthest_on_is_taken(
    queue: JobQueue, store: redis.Redis, find: Find
) -> None:
    queue.submit("noop")
    queue.complete(claim_one(queue))
    store.zadd("Mail_queue", {"1": 1})
    store.zadd("Index:pending:noop:low:0", {"1": 1})
    store.hdel("Job_map", "1")
    queue.repair()

    assert find(1).status == Status.SUCCESS
    assert queue.claim("w1", 1) == []


def test_waiting_jobs_without_a_record_go_at_their_old_turn(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    for _ in range(3):
        queue.submit("noop")
        clock.advance(ms=5)
    store.hdel("Job_map", "1", "2")
    queue.repair()

    assert [job.id for job in queue.claim("w1", 3)] == [1, 2, 3]


def test_a_waiting_job_without_its_payload_is_given_up(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find
) -> None:
    one_of_each(queue, clock)
    store.delete("Job_payload")
    lines = queue.repair()

    assert "job 7: its payload is gone; it is given up" in lines
    assert "job 3: its payload is gone; it can't be mended" in lines
    check(store)
    for status in (Status.PENDING, Status.SCHEDULED, Status.FAILED):
        found = find(IDS[status])
        assert found.status == Status.PERMANENTLY_FAILED
        assert found.last_error == "repair: its payload was lost"
    assert queue.repair() == []


def test_no_job_of_a_large_store_is_lost_with_its_record(
    queue: JobQueue, store: redis.Redis, source: Callable[[str], str]
) -> None:
    queue.submit_many([NewJob("noop", tags=("a",))] * 500)
    store.hdel("Job_map", *range(1, 301))
    queue.repair()

    check(store)
    counts = Inspector(store, source=source).counts()
    assert counts[Status.PENDING] == 500
    assert queue.repair() == []


@pytest.mark.parametrize("key", ["Job_map", "Job_payload"])
def test_what_is_no_job_is_put_aside(queue: JobQueue, store: redis.Redis, key: str) -> None:
    queue.submit("noop")
    for strange in ("abc", "01", "-1", "1.5", "9" * 20):
        store.hset(key, strange, '{"status":"pending"}')

    assert len(queue.repair()) == 5
    check(store)
    assert len(store.hgetall("Unreadable")) == 5


@pytest.mark.parametrize("name", ["Stats", "Stats:29166666", "Meta", "query:id:counter"])
def test_a_counter_that_is_no_number_stops_nobody_afterwards(
    queue: JobQueue, store: redis.Redis, name: str
) -> None:
    queue.submit("noop")
    if name == "query:id:counter":
        store.set(name, "many")
    else:
        store.hset(name, "revision" if name == "Meta" else "submitted:noop", "many")

    assert queue.repair()
    assert queue.submit("noop") == 2
    check(store)


def test_a_dry_run_says_what_it_would_mend_and_changes_nothing(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    one_of_each(queue, clock)
    store.zrem("Mail_queue", "7")
    store.hdel("Job_map", "3")
    store.hdel("Job_payload", "4")
    store.hset("Stats", "submitted:noop", "many")
    store.zadd("Processing", {"77": 1})
    store.srem("Buckets", "pending:noop:low:0")
    before = contents(store)

    lines = queue.repair(dry_run=True)

    assert len(lines) >= 6
    assert contents(store) == before
    assert queue.repair()
    check(store)


def test_the_steps_tell_how_far_they_are(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit_many([NewJob("noop")] * 1_000)

    steps = list(queue.repair_steps())

    looked_at = [step.looked_at for step in steps]
    assert looked_at == sorted(looked_at)
    assert 0.5 < looked_at[-1] / queue.repair_size() < 2
    assert max(b - a for a, b in zip(looked_at, looked_at[1:], strict=False)) <= 250


def contents(store: redis.Redis) -> dict[str, Any]:
    """Everything in the store but the remembered calls."""
    read: dict[str, Callable[[str], Any]] = {
        "string": store.get,
        "hash": store.hgetall,
        "set": store.smembers,
        "zset": lambda key: store.zrange(key, 0, -1, withscores=True),
    }
    return {name: read[store.type(name)](name) for name in sorted(store.scan_iter(count=1000))}
