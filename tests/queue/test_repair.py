"""Repair: whatever was done to the store by hand, the invariants hold again, and it is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.invariants import check
from tests.queue.steps import claim_one, job_in, let_leases_run_out
from tests.queue.virtual_time import Clock, virtual_source

Find = Callable[[int], Job]

# The ids that `one_of_each` gives.
IDS = {
    Status.SCHEDULED: 1,
    Status.PROCESSING: 2,
    Status.SUCCESS: 3,
    Status.FAILED: 4,
    Status.PERMANENTLY_FAILED: 5,
    Status.CANCELLED: 6,
    Status.PENDING: 7,
}


def one_of_each(queue: JobQueue, clock: Clock) -> None:
    for status, job_id in IDS.items():
        assert job_in(status, queue, clock, tags=("acme",)) == job_id


def edit(store: redis.Redis, job_id: int, **fields: Any) -> None:
    """Changes a record behind the queue's back; None removes a field."""
    record = json.loads(store.hget("Job_map", str(job_id)) or "{}")
    record |= fields
    kept = {name: value for name, value in record.items() if value is not None}
    store.hset("Job_map", str(job_id), json.dumps(kept))


DAMAGES: dict[str, Callable[[redis.Redis], object]] = {
    "all places are gone": lambda store: store.delete(
        "Mail_queue", "Retry_queue", "Scheduled_queue", "Processing"
    ),
    "all indexes are gone": lambda store: [
        store.delete(key)
        for pattern in ("Index:*", "Picked:*", "Completed:*", "Retries:*", "Tag:*", "Buckets")
        for key in list(store.scan_iter(pattern))
    ],
    "the buckets have no names": lambda store: store.delete("Buckets"),
    "a pending job is in no place": lambda store: store.zrem("Mail_queue", "7"),
    "a processing job has no lease": lambda store: store.zrem("Processing", "2"),
    "a job is in two places": lambda store: store.zadd("Retry_queue", {"7": 1}),
    "a finished job is in a queue": lambda store: store.zadd("Mail_queue", {"3": 1}),
    "a success is in the set of the cancelled": lambda store: store.zadd(
        "Completed:cancelled:noop:low:0", {"3": 1}
    ),
    "a job is in two buckets": lambda store: store.zadd("Index:success:noop:low:1", {"7": 7}),
    "a job is in a bucket of its own": lambda store: store.zadd("Index:x:y:low:0", {"7": 7}),
    "a job that never began has a start": lambda store: store.zadd(
        "Picked:pending:noop:low:1", {"7": 1}
    ),
    "a job has another's tag": lambda store: store.zadd("Tag:vip", {"7": 7}),
    "ids without jobs are everywhere": lambda store: [
        store.zadd(key, {"77": 77})
        for pattern in ("*_queue", "Processing", "*:*:*:*", "Tag:*")
        for key in list(store.scan_iter(pattern))
    ],
    "a score is wrong in an index": lambda store: store.zadd("Index:pending:noop:low:0", {"7": 70}),
    "a score is wrong in a set by start": lambda store: store.zadd(
        "Picked:success:noop:low:1", {"3": 1}
    ),
    "a score is wrong in a set by end": lambda store: store.zadd(
        "Completed:success:noop:low:1", {"3": 1}
    ),
    "a score is wrong in a tag": lambda store: store.zadd("Tag:acme", {"3": 1}),
    "a due time is wrong": lambda store: store.zadd("Scheduled_queue", {"1": 1}),
    "a retry time is wrong": lambda store: store.zadd("Retry_queue", {"4": 1}),
    "a status was changed by hand": lambda store: edit(store, 7, status="cancelled"),
    "a finished job was made pending by hand": lambda store: edit(store, 3, status="pending"),
    "a pending job was made to wait by hand": lambda store: edit(store, 7, status="scheduled"),
    "a processing job was made pending by hand": lambda store: edit(store, 2, status="pending"),
    "a priority was changed by hand": lambda store: edit(store, 4, priority="high"),
    "a tag was added by hand": lambda store: edit(store, 7, tags="acme,vip"),
    "a finished job has no end": lambda store: edit(store, 3, completed_at=None),
    "a waiting job has no due time": lambda store: edit(store, 1, run_at=None),
    "a processing job has no token": lambda store: edit(store, 2, token=None),
    "a pending job has a token": lambda store: edit(store, 7, token="t"),
    "a waiting job asks to be cancelled": lambda store: edit(store, 7, cancel_requested=True),
    "a finished job never began": lambda store: edit(store, 3, attempts=None),
    "a finished job has no worker": lambda store: edit(store, 3, worker=None),
    "a job failed more often than it began": lambda store: edit(store, 4, retry_count=5),
    "a history has no job": lambda store: store.hset("Job_attempts", "77", '{"n":1}'),
    "a summary has no job": lambda store: store.hset("Job_summary", "77", "Hello\n"),
    "a history is no JSON": lambda store: store.hset("Job_attempts", "4", "{}"),
    "a summary is cut off": lambda store: store.hset("Job_summary", "7", "Hello"),
    "a counter of submissions is wrong": lambda store: store.hset("Stats", "submitted:noop", 90),
    "the counters are gone": lambda store: store.delete("Stats"),
    "the counter is gone": lambda store: store.delete("query:id:counter"),
    "the counter is behind": lambda store: store.set("query:id:counter", 5),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_mends_it_when(
    queue: JobQueue, store: redis.Redis, clock: Clock, damage: str
) -> None:
    one_of_each(queue, clock)
    DAMAGES[damage](store)
    with pytest.raises((AssertionError, LookupError, ValueError)):
        check(store)

    lines = queue.repair()

    assert lines
    check(store)
    assert queue.repair() == []


def test_a_healthy_store_needs_no_repair(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    assert queue.repair() == []
    one_of_each(queue, clock)
    before = check(store)

    assert queue.repair() == []
    assert check(store) == before


def test_repair_looks_at_every_record_and_entry_of_a_large_store(
    queue: JobQueue, store: redis.Redis
) -> None:
    queue.submit_many([NewJob("noop")] * 1_000)
    store.zremrangebyrank("Mail_queue", 300, 899)
    store.zadd("Retry_queue", {str(n): n for n in range(101, 401)})

    lines = queue.repair()

    assert sum("was missing in Mail_queue" in line for line in lines) == 600
    assert sum("did not belong in Retry_queue" in line for line in lines) == 300


def test_each_line_names_the_job_and_what_was_wrong(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop")
    store.zrem("Mail_queue", "1")
    store.zadd("Processing", {"9": 1})

    assert queue.repair() == [
        "job 1: was missing in Mail_queue",
        "job 9: did not belong in Processing",
    ]


def test_a_mended_pending_job_goes_at_its_old_turn(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    for priority in (Priority.LOW, Priority.HIGH, Priority.LOW):
        queue.submit("noop", priority=priority)
    store.delete("Mail_queue")
    clock.advance(seconds=60)
    queue.repair()

    assert [job.id for job in queue.claim("w1", 3)] == [2, 1, 3]


@pytest.mark.parametrize(
    "damage",
    [lambda store: store.zrem("Processing", "1"), lambda store: edit(store, 1, token=None)],
    ids=["no lease", "no token"],
)
def test_a_processing_job_that_nobody_can_settle_is_reaped(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find, damage: Callable[..., object]
) -> None:
    queue.submit("noop")
    claim_one(queue)
    damage(store)
    queue.repair()
    let_leases_run_out(queue, clock)

    assert find(1).status == Status.PENDING


def test_mended_jobs_wake_a_worker(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop")
    store.delete("Mail_queue", "Wake")
    queue.repair()

    assert store.exists("Wake")


def test_no_id_is_given_twice_after_the_counter_was_lost(
    queue: JobQueue, store: redis.Redis
) -> None:
    queue.submit("noop")
    queue.submit("noop")
    store.delete("query:id:counter")

    assert queue.repair() == ["the id counter was behind; it is 2 now"]
    assert queue.submit("noop") == 3


def test_repair_touches_no_other_queue(client: redis.Redis) -> None:
    clock = Clock(client)
    source = virtual_source(client)
    mine = JobQueue(client, prefix="a[b]*?:", source=source)
    other = JobQueue(client, prefix="a[b]*?:more:", source=source)
    for queue in (mine, other):
        one_of_each(queue, clock)
        client.zadd(queue.keys.pending, {"77": 1})
    lines = mine.repair()

    assert lines == ["job 77: did not belong in a[b]*?:Mail_queue"]
    assert client.zscore(other.keys.pending, "77") == 1
