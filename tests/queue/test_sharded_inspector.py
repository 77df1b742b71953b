"""What people read of several shards is what they would read of one."""

from __future__ import annotations

import inspect
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.connection import connect
from app.queue.errors import JobNotFound, QueueUnavailable
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.keys import Keys
from app.queue.sharded_inspector import ShardedInspector
from app.queue.sharded_listing import share_out
from app.queue.submission import NewJob
from tests.queue.listing_store import make_record, write
from tests.queue.sharded_store import SHARDS, Sharded, open_shards, prefix_of, shard_of
from tests.queue.virtual_time import STARTED_MS, Clock, virtual_source


@pytest.fixture
def sharded(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Sharded:
    return open_shards(store, source)


def test_it_answers_everything_that_an_inspector_does() -> None:
    asked = {name for name, _ in inspect.getmembers(Inspector, inspect.isfunction)}

    missing = {name for name in asked if not name.startswith("_")} - set(vars(ShardedInspector))

    assert missing == set()


def test_a_job_is_read_where_it_lies(sharded: Sharded) -> None:
    [job_id] = sharded.submit(3, NewJob("noop", '{"a": 1}'))

    assert sharded.inspector.job(job_id).payload == '{"a": 1}'
    assert sharded.inspector.attempts(job_id) == []
    assert [job.id for job in sharded.inspector.page(JobQuery(q=str(job_id))).jobs] == [job_id]
    with pytest.raises(JobNotFound):
        sharded.inspector.job(job_id + 1)


def test_figures_are_sums(sharded: Sharded, clock: Clock) -> None:
    sharded.submit(1, *[NewJob("noop", tags=("a", "b"))] * 3)
    clock.advance(seconds=2)
    sharded.submit(2, NewJob("other", tags=("b",), priority=Priority.HIGH))
    [job] = sharded.queues[1].claim("w1", 1)
    clock.advance(seconds=1)
    sharded.queues[1].complete(job)
    inspector = sharded.inspector

    stats = inspector.stats()

    none = dict.fromkeys(Status, 0)
    assert inspector.counts() == none | {Status.PENDING: 3, Status.SUCCESS: 1}
    assert inspector.counts(job_type="other") == none | {Status.PENDING: 1}
    assert (stats["counts"], stats["total"]) == (inspector.counts(), 4)
    assert stats["totals"]["submitted"] == 4
    assert stats["by_type"] == {"noop": {"submitted": 3, "succeeded": 1}, "other": {"submitted": 1}}
    assert stats["oldest_pending_seconds"] == 3.0
    assert stats["revision"] == inspector.revision() > 0
    assert inspector.job_types() == ["noop", "other"]
    assert inspector.tags() == ["b", "a"]
    assert inspector.tags(limit=1) == ["b"]
    wait, run = inspector.durations()
    assert (wait.sum_seconds, run.sum_seconds) == (2.0, 1.0)
    now = inspector.series(2)[-1]
    assert (now.at, now.counts["submitted"], now.run.count) == (STARTED_MS / 1000 // 60 * 60, 4, 1)


def test_an_empty_queue_has_the_figures_of_an_empty_server(sharded: Sharded) -> None:
    of_one = sharded.inspectors[0]

    assert sharded.inspector.stats() == of_one.stats()
    assert sharded.inspector.series(3) == of_one.series(3)
    assert sharded.inspector.page(JobQuery()) == of_one.page(JobQuery())
    assert list(sharded.inspector.walk(JobQuery())) == []


def test_a_position_counts_the_jobs_of_all_shards(sharded: Sharded, clock: Clock) -> None:
    ids = []
    for shard in (2, 0, 1, 2, 3):
        ids += sharded.submit(shard, NewJob("noop"))
        clock.advance(ms=5)
    ids += sharded.submit(1, NewJob("noop", priority=Priority.HIGH))

    assert [sharded.inspector.position(job_id) for job_id in ids] == [1, 2, 3, 4, 5, 0]
    assert sharded.inspector.position(400) is None


def test_a_pause_of_one_shard_is_seen(sharded: Sharded) -> None:
    assert not sharded.inspector.paused()

    sharded.queues[2].pause()

    assert sharded.inspector.paused()
    assert sharded.inspector.stats()["paused"]


def test_workers_are_those_that_report_at_home(sharded: Sharded, store: redis.Redis) -> None:
    store.zadd(Keys(prefix_of(0)).workers, {"w1": STARTED_MS})
    store.set(Keys(prefix_of(0)).worker("w1"), '{"role": "main", "concurrency": 3}')

    assert [worker.name for worker in sharded.inspector.workers()] == ["w1"]
    assert sharded.inspector.heartbeats() == {"w1": STARTED_MS}
    assert (sharded.inspector.stats()["workers_alive"], sharded.inspector.stats()["slots"]) == (
        1,
        3,
    )
    assert sharded.inspector.breakers() == []
    assert sharded.inspector.now() == STARTED_MS / 1000


def test_the_memory_of_a_server_counts_once(client: redis.Redis) -> None:
    sharded = open_shards(client)

    used, limit = sharded.inspector.memory() or (0, -1)

    of_one, _ = sharded.inspectors[0].memory() or (0, 0)
    assert of_one / 2 < used < of_one * 2
    assert limit == 0


def test_a_walk_has_each_job_once_and_in_order(sharded: Sharded) -> None:
    ids = sharded.submit(0, *[NewJob("noop", tags=("t",))] * 30)
    ids += sharded.submit(1, *[NewJob("noop")] * 230)
    ids += sharded.submit(3, *[NewJob("other", tags=("t",))] * 5)
    inspector = sharded.inspector

    def walked(**fields: Any) -> list[int]:
        return [job.id for jobs in inspector.walk(JobQuery(**fields)) for job in jobs]

    assert walked() == sorted(ids)
    assert walked(job_type="noop") == sorted(ids[:260])
    assert walked(tag="t") == sorted(ids[:30] + ids[260:])
    assert walked(q=str(ids[7])) == [ids[7]]


def test_a_walk_over_ids_that_lie_far_apart_has_each_job_once(store: redis.Redis) -> None:
    """Those of one of many shards do, and those that are left when most were deleted."""
    rng = random.Random(5)
    ids = [*range(1, 300), *range(400, 50_000, 70), *range(60_000, 60_500)]
    write(store, Keys(), [make_record(rng, i, picked_ms=STARTED_MS) for i in ids])
    inspector = Inspector(store, source=virtual_source(store))

    walked = [job.id for jobs in inspector.walk(JobQuery()) for job in jobs]

    assert walked == ids


# ── Candidates ──────────────────────────────────────────────────────────────────────────────────


def test_a_bound_on_candidates_is_shared_out(sharded: Sharded) -> None:
    small = sharded.submit(0, *[NewJob("noop", tags=("t",))] * 10)
    large = sharded.submit(1, *[NewJob("noop", tags=("t",))] * 30)

    page = sharded.inspector.page(JobQuery(tag="t", status=Status.PENDING, look=20))

    assert (page.complete, page.looked_at, page.candidates) == (False, 20, 40)
    assert [job.id for job in page.jobs] == sorted(small[-5:] + large[-15:], reverse=True)
    whole = sharded.inspector.page(JobQuery(tag="t", status=Status.PENDING, look=40))
    assert (whole.complete, whole.total) == (True, 40)


@pytest.mark.parametrize(
    ("look", "sizes", "shares"),
    [
        (10, [3, 4], [10, 10]),
        (10, [10, 10], [5, 5]),
        (10, [0, 99, 1], [0, 9, 1]),
        (1, [5, 5, 5], [0, 0, 1]),
        (100_000, [1, 200_000], [0, 100_000]),
    ],
)
def test_shares_follow_sizes_and_add_up(look: int, sizes: list[int], shares: list[int]) -> None:
    assert share_out(look, sizes) == shares


# ── While things change ─────────────────────────────────────────────────────────────────────────


def test_pages_hold_each_job_once_while_jobs_move(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens between two questions to the shards."""
    sharded = open_shards(client)
    for shard in range(SHARDS):
        sharded.submit(shard, *[NewJob("noop", tags=("t",))] * 200)
    moved = 0
    one_at_a_time = threading.Lock()  # several threads ask, and `submit` gives ids in two steps

    def move() -> None:
        with one_at_a_time:
            move_some()

    def move_some() -> None:
        nonlocal moved
        moved += 1
        queue = sharded.queues[moved % SHARDS]
        jobs = queue.claim("w1", 3)
        for job in jobs[:2]:
            queue.complete(job)
        if jobs and moved % 5 == 0:
            queue.delete(jobs[0].id)
        sharded.submit((moved + 1) % SHARDS, NewJob("noop", tags=("t",)))

    for shard in range(SHARDS):
        scripts = sharded.inspectors[shard].listing.scripts
        monkeypatch.setattr(scripts, "call", moving(scripts.call, move))

    for sort in ("id", "picked_at", "completed_at", "status", "created_at"):
        for fields in ({}, {"status": Status.PENDING}, {"tag": "t"}):
            for page in (1, 9, 20):
                query = JobQuery(**fields, sort=sort, page=page, limit=37)  # type: ignore[arg-type]
                ids = [job.id for job in sharded.inspector.page(query).jobs]
                assert len(set(ids)) == len(ids)
    assert moved > 100


def moving(call: Callable[..., Any], move: Callable[[], None]) -> Callable[..., Any]:
    def call_and_move(*args: Any, **options: Any) -> Any:
        move()
        return call(*args, **options)

    return call_and_move


def test_a_shard_that_is_away_is_said(client: redis.Redis) -> None:
    there = open_shards(client)
    gone = connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2)
    shards = [*there.inspectors[:3], Inspector(gone, prefix=prefix_of(3))]
    inspector = ShardedInspector(shards, shard_of)
    [job_id] = there.submit(1, NewJob("noop"))

    for read in (
        inspector.stats,
        inspector.revision,
        lambda: inspector.page(JobQuery()),
        lambda: inspector.page(JobQuery(tag="t", status=Status.PENDING)),
        lambda: list(inspector.walk(JobQuery())),
        lambda: inspector.job(3),
    ):
        with pytest.raises(QueueUnavailable):
            read()
    assert inspector.job(job_id).id == job_id
    assert inspector.workers() == []
