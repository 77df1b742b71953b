"""What people read of one job, the counts, the figures, the workers, and pages by tag or id."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.connection import connect
from app.queue.counters import EVENTS
from app.queue.errors import JobNotFound, QueueUnavailable
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Attempt, Priority, Status
from app.queue.keys import Keys
from app.queue.listing import Source
from tests.queue import listing_store
from tests.queue.listing_store import STARTED_MS, mixed, write
from tests.queue.virtual_time import Clock

KEYS = Keys("p:")


@pytest.fixture
def inspector(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Inspector:
    return Inspector(store, prefix="p:", source=source)


def record(job_id: int, **fields: Any) -> dict[str, Any]:
    found = {
        "id": job_id,
        "job_type": "noop",
        "priority": "low",
        "status": "pending",
        "created_at": STARTED_MS + job_id,
        "retry_count": 0,
    }
    return found | fields


def succeeded(job_id: int, **fields: Any) -> dict[str, Any]:
    return record(
        job_id,
        status="success",
        picked_at=STARTED_MS + 500,
        completed_at=STARTED_MS + 1_500,
        worker="w1",
        attempts=1,
        **fields,
    )


# ── One job ─────────────────────────────────────────────────────────────────────────────────────


def test_a_job_has_its_payload_as_submitted(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(7)], payload='{"to": "é"}')

    job = inspector.job(7)

    assert (job.id, job.payload, job.created_at) == (7, '{"to": "é"}', (STARTED_MS + 7) / 1000)


@pytest.mark.parametrize("read", ["job", "attempts"])
def test_a_job_that_is_not_there_is_not_found(inspector: Inspector, read: str) -> None:
    with pytest.raises(JobNotFound, match="Job 7 not found"):
        getattr(inspector, read)(7)


def test_a_first_success_is_an_attempt_without_a_line_of_its_own(
    store: redis.Redis, inspector: Inspector
) -> None:
    write(store, KEYS, [succeeded(1)])

    started, ended = STARTED_MS / 1000 + 0.5, STARTED_MS / 1000 + 1.5
    assert inspector.attempts(1) == [Attempt(1, started, ended, "w1", "success")]


def test_attempts_are_told_oldest_first(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [succeeded(1) | {"attempts": 3, "retry_count": 1}])
    lines = [
        {"n": 1, "start": 1000, "end": 2500, "worker": "w2", "outcome": "died"},
        # A line separator of Unicode, which is no end of a line here.
        {"n": 2, "end": 3000, "outcome": "failed", "error": "full \u2028 up", "code": 452},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    store.hset(KEYS.attempts, "1", text)

    died, failed, success = inspector.attempts(1)

    assert died == Attempt(1, 1.0, 2.5, "w2", "died")
    assert failed == Attempt(2, None, 3.0, None, "failed", "full \u2028 up", 452)
    assert (success.number, success.outcome) == (3, "success")


def test_a_job_that_never_began_has_no_attempts(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(1)])

    assert inspector.attempts(1) == []


# ── Figures ─────────────────────────────────────────────────────────────────────────────────────


def test_counts_has_every_status(store: redis.Redis, inspector: Inspector) -> None:
    records = list(mixed(random.Random(1), 200)) + [record(201, job_type="only:one")]
    write(store, KEYS, records)

    counts = inspector.counts()

    assert counts == {s: sum(r["status"] == s for r in records) for s in Status}
    assert inspector.counts(job_type="only:one") == dict.fromkeys(Status, 0) | {Status.PENDING: 1}


def test_stats_of_an_empty_store_are_zeros(inspector: Inspector) -> None:
    assert inspector.stats() == {
        "counts": dict.fromkeys(Status, 0),
        "total": 0,
        "paused": False,
        "totals": dict.fromkeys(EVENTS, 0),
        "by_type": {},
        "last_minute": dict.fromkeys(EVENTS, 0),
        "oldest_pending_seconds": None,
        "workers_alive": 0,
        "slots": 0,
        "slots_busy": 0,
        "breakers": [],
        "revision": 0,
    }
    assert inspector.revision() == 0


def test_stats_sum_the_counters_over_job_types(
    store: redis.Redis, inspector: Inspector, clock: Clock
) -> None:
    store.hset(KEYS.stats, mapping={"submitted:noop": 5, "submitted:a:b": 2, "failed:noop": 1})
    minute = clock.now_ms // 60_000
    store.hset(KEYS.stats_minute(minute - 1), mapping={"submitted:noop": 3})
    store.hset(KEYS.stats_minute(minute), mapping={"submitted:noop": 100})
    store.hset(KEYS.meta, mapping={"paused": "1", "revision": 12})

    stats = inspector.stats()

    assert stats["totals"] == dict.fromkeys(EVENTS, 0) | {"submitted": 7, "failed": 1}
    assert stats["by_type"] == {"noop": {"submitted": 5, "failed": 1}, "a:b": {"submitted": 2}}
    assert stats["last_minute"]["submitted"] == 3
    assert (stats["paused"], stats["revision"], inspector.revision()) == (True, 12, 12)


def test_the_oldest_pending_job_counts_from_when_it_became_ready(
    store: redis.Redis, inspector: Inspector, clock: Clock
) -> None:
    late = clock.now_ms + 60_000
    promoted = record(1, ready_at=late - 2_000)
    fresh = record(2, created_at=late - 1_000)
    behind = record(3, priority="high", created_at=late - 3_000)
    write(store, KEYS, [promoted, fresh, behind, succeeded(4)])
    clock.advance(seconds=60)

    assert inspector.stats()["oldest_pending_seconds"] == 3.0


def test_workers_are_those_that_were_heard_lately_and_left_something(
    store: redis.Redis, inspector: Inspector, clock: Clock
) -> None:
    def beat(name: str, role: str, seconds_ago: float) -> None:
        store.zadd(KEYS.workers, {name: clock.now_ms - seconds_ago * 1000})
        store.set(KEYS.worker(name), json.dumps({"role": role}))

    beat("b-main", "main", 1)
    beat("a-slow", "main", 40)
    beat("retry", "retry", 1)
    beat("long-gone", "main", 3_600)
    store.zadd(KEYS.workers, {"ended": clock.now_ms})

    assert [worker.name for worker in inspector.workers()] == ["a-slow", "b-main", "retry"]
    assert inspector.workers()[1].last_seen_at == clock.now - 1
    assert inspector.workers()[1].details == {"role": "main"}
    assert inspector.stats()["workers_alive"] == 1


def test_breakers_are_those_that_living_workers_say_are_open(
    store: redis.Redis, inspector: Inspector, clock: Clock
) -> None:
    breaker = {"reason": "The login was refused", "since": 5.5, "next_probe_at": 35.5}

    def beat(name: str, breaker: object, seconds_ago: float) -> None:
        store.zadd(KEYS.workers, {name: clock.now_ms - seconds_ago * 1000})
        store.set(KEYS.worker(name), json.dumps({"role": "main", "breaker": breaker}))

    beat("b-open", breaker, 1)
    beat("a-open", breaker, 1)
    beat("closed", None, 1)
    beat("dead", breaker, 600)

    found = [{"worker": name, **breaker} for name in ("a-open", "b-open")]
    assert inspector.breakers() == found
    assert inspector.stats()["breakers"] == found


def test_the_inspector_says_when_redis_is_away() -> None:
    away = Inspector(connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2))

    for read in (away.stats, away.workers, away.revision, lambda: away.page(JobQuery())):
        with pytest.raises(QueueUnavailable):
            read()


# ── Pages by tag, by id, with payload ───────────────────────────────────────────────────────────


def ids(inspector: Inspector, **fields: Any) -> list[int]:
    return [job.id for job in inspector.page(JobQuery(**fields)).jobs]


def test_a_page_has_payloads_when_asked(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(1, tags="a"), record(2)], payload='{"x": 1}')

    for query in (JobQuery(), JobQuery(tag="a"), JobQuery(q="1")):
        without = inspector.page(query).jobs
        with_payload = inspector.page(query, with_payload=True).jobs
        assert {job.payload for job in without} == {""}
        assert {job.payload for job in with_payload} == {'{"x": 1}'}


def test_q_finds_an_id_within_the_other_filters(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(1, tags="a"), record(12, priority="high")])

    assert ids(inspector, q=" 12 ") == [12]
    assert ids(inspector, q="0012", priority=Priority.HIGH) == [12]
    for nothing in (
        {"q": "2"},
        {"q": "9" * 30},
        {"q": "12", "priority": Priority.LOW},
        {"q": "12", "status": Status.SUCCESS},
        {"q": "12", "job_type": "other"},
        {"q": "12", "tag": "a"},
        {"q": "12", "page": 2},
    ):
        assert ids(inspector, **nothing) == []
    assert inspector.page(JobQuery(q="12", page=2)).total == 1
    assert ids(inspector, q="1", tag="a") == [1]


def test_q_with_a_number_sign_finds_a_tag(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(1, tags="a,b"), record(2, tags="a"), record(3, tags="ab")])

    assert ids(inspector, q="#a") == [2, 1]
    assert ids(inspector, q="#a", tag="b") == [1]
    assert ids(inspector, q="#what") == []


def test_empty_filters_mean_any(store: redis.Redis, inspector: Inspector) -> None:
    write(store, KEYS, [record(1), record(2)])

    assert ids(inspector, q="", tag="", job_type="") == [2, 1]
    # An action on what is found must not mean every job.
    assert ids(inspector, q=" ") == []


def test_a_tag_with_too_many_jobs_says_how_far_it_looked(
    store: redis.Redis, inspector: Inspector
) -> None:
    look, count = 500, 510
    write(store, KEYS, [record(job_id, tags="a") for job_id in range(1, count + 1)])

    filtered = inspector.page(JobQuery(tag="a", status=Status.PENDING, look=look))
    alone = inspector.page(JobQuery(tag="a", page=11, look=look))
    all_of_it = inspector.page(JobQuery(tag="a", status=Status.PENDING, look=count))

    assert (filtered.complete, filtered.looked_at, filtered.candidates) == (False, look, count)
    assert filtered.source == Source("tag", "a")
    assert filtered.total == look
    assert [job.id for job in filtered.jobs[:2]] == [count, count - 1]
    assert (alone.complete, alone.looked_at, alone.total) == (True, None, count)
    assert [job.id for job in alone.jobs] == list(range(10, 0, -1))
    assert (all_of_it.complete, all_of_it.total, all_of_it.looked_at) == (True, count, None)


def test_a_tag_keeps_jobs_apart_that_were_deleted_while_reading(
    store: redis.Redis, inspector: Inspector
) -> None:
    write(store, KEYS, [record(1, tags="a"), record(2, tags="a")])
    store.hdel(KEYS.jobs, "1")

    assert ids(inspector, tag="a") == [2]
    assert ids(inspector, tag="a", status=Status.PENDING) == [2]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"sort": "payload"}, "sort: must be one of id,"),
        ({"page": 0}, "page: must be 1 or more"),
        ({"limit": 0}, "limit: must be from 1 to 200"),
        ({"limit": 201}, "limit: must be from 1 to 200"),
    ],
)
def test_a_query_names_the_field_that_is_wrong(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        JobQuery(**fields)


def test_the_test_data_covers_every_status_begun_and_not() -> None:
    records = list(mixed(random.Random(1), 2_000))

    buckets = {listing_store.bucket_of(r).rsplit(":", 1)[1] + r["status"] for r in records}
    assert {f"2{status}" for status in Status} < buckets
    assert {f"1{status}" for status in Status} < buckets
    assert {"0scheduled", "0pending", "0cancelled"} < buckets
