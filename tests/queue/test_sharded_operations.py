"""Operations that retry, cancel or delete the jobs of several shards."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import redis

from app.queue.connection import connect
from app.queue.errors import OperationNotFound, QueueUnavailable
from app.queue.inspector import JobQuery
from app.queue.job import Status
from app.queue.operations import Operation, Operations, Preview
from app.queue.sharded_operations import ShardedOperations
from app.queue.submission import NewJob
from tests.queue.sharded_store import SHARDS, Sharded, open_shards, prefix_of
from tests.queue.virtual_time import STARTED_MS, Clock


@pytest.fixture
def sharded(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Sharded:
    return open_shards(store, source)


def statuses(sharded: Sharded) -> dict[str, int]:
    return {status: n for status, n in sharded.inspector.counts().items() if n}


def outcome(operation: Operation) -> tuple[str, int, int, int]:
    return operation.status, operation.total, operation.done, operation.skipped


def test_it_does_what_it_says_in_every_shard(sharded: Sharded, clock: Clock) -> None:
    for shard in (0, 1, 3):
        sharded.submit(shard, *[NewJob("noop")] * (shard + 1), NewJob("other"))
    query = JobQuery(job_type="noop")
    assert sharded.operations.preview("cancel", query) == Preview(7, 7)

    operation_id = sharded.operations.start("cancel", query, "ann")
    begun = sharded.operations.get(operation_id)
    clock.advance(seconds=5)
    sharded.run_operations()

    assert begun == Operation(
        id=1,
        action="cancel",
        query=query,
        by="ann",
        status="running",
        total=7,
        done=0,
        skipped=0,
        created_at=STARTED_MS / 1000,
        finished_at=None,
        parts=SHARDS,
    )
    ended = sharded.operations.get(operation_id)
    assert (*outcome(ended), ended.finished_at) == ("done", 7, 7, 0, clock.now)
    assert sharded.operations.recent() == [ended]
    assert statuses(sharded) == {"cancelled": 7, "pending": 3}


def test_repair_finds_nothing_wrong_with_its_ids_in_any_shard(sharded: Sharded) -> None:
    for _ in range(2):
        sharded.submit(2, NewJob("noop"))
        sharded.operations.start("cancel", JobQuery(), "ann")
        sharded.run_operations()

    assert [queue.repair(dry_run=True) for queue in sharded.queues] == [[]] * SHARDS


def test_jobs_submitted_meanwhile_are_left_alone_in_every_shard(sharded: Sharded) -> None:
    sharded.submit(1, NewJob("noop"))
    operation_id = sharded.operations.start("cancel", JobQuery(), "ann")

    for shard in range(SHARDS):
        sharded.submit(shard, NewJob("noop"))
    sharded.run_operations()

    assert statuses(sharded) == {"cancelled": 1, "pending": 4}
    assert sharded.operations.get(operation_id).done == 1


def test_it_runs_while_a_shard_has_work_left(sharded: Sharded) -> None:
    sharded.submit(0, *[NewJob("noop")] * 2)
    sharded.submit(2, *[NewJob("noop")] * 3)
    operation_id = sharded.operations.start("delete", JobQuery(), "ann")

    while sharded.queues[0].operate():
        pass

    assert outcome(sharded.operations.get(operation_id)) == ("running", 5, 2, 0)
    assert sharded.operations.get(operation_id).finished_at is None


def test_stopping_stops_every_shard(sharded: Sharded) -> None:
    for shard in range(SHARDS):
        sharded.submit(shard, NewJob("noop"))
    operation_id = sharded.operations.start("cancel", JobQuery(), "ann")
    while sharded.queues[3].operate():
        pass

    sharded.operations.stop(operation_id)
    sharded.run_operations()

    assert outcome(sharded.operations.get(operation_id)) == ("stopped", 4, 1, 0)
    assert statuses(sharded) == {"cancelled": 1, "pending": 3}


def test_an_operation_that_is_not_there_is_not_found(sharded: Sharded) -> None:
    with pytest.raises(OperationNotFound):
        sharded.operations.get(1)
    with pytest.raises(OperationNotFound):
        sharded.operations.stop(1)
    assert sharded.operations.recent() == []


def test_operations_are_listed_newest_first(sharded: Sharded) -> None:
    first, second = (sharded.operations.start("cancel", JobQuery(), "ann") for _ in range(2))

    assert [operation.id for operation in sharded.operations.recent()] == [second, first]
    assert [operation.id for operation in sharded.operations.recent(limit=1)] == [second]


def test_a_start_that_was_killed_half_way_shows_as_stopped_and_can_go_on(sharded: Sharded) -> None:
    sharded.submit(0, NewJob("noop"))
    sharded.submit(2, NewJob("noop"))
    query, started = JobQuery(), {"total": 1, "parts": SHARDS}
    operation_id = sharded.parts[0].start_part("cancel", query, "ann", **started)
    sharded.run_operations()
    assert outcome(sharded.operations.get(operation_id)) == ("stopped", 1, 1, 0)

    for part in sharded.parts:
        part.start_part("cancel", query, "ann", **started, operation_id=operation_id)
    sharded.run_operations()

    assert sharded.operations.get(operation_id).status == "done"
    assert statuses(sharded) == {"cancelled": 2}


def test_an_operation_of_before_there_were_more_shards_is_whole(sharded: Sharded) -> None:
    sharded.submit(0, NewJob("noop"))
    operation_id = sharded.parts[0].start("cancel", JobQuery(), "ann")
    sharded.run_operations()

    assert outcome(sharded.operations.get(operation_id)) == ("done", 1, 1, 0)


@pytest.mark.parametrize("away", [0, 3])
def test_nothing_is_started_while_a_shard_is_away(client: redis.Redis, away: int) -> None:
    sharded = open_shards(client)
    for shard in range(SHARDS):
        sharded.submit(shard, NewJob("noop"))
    operations = ShardedOperations(with_one_away(sharded, away))

    with pytest.raises(QueueUnavailable):
        operations.start("cancel", JobQuery(), "ann")

    sharded.run_operations()
    assert statuses(sharded) == {"pending": 4}
    assert sharded.operations.recent() == []


def test_a_shard_that_goes_away_at_the_start_stops_the_others(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded = open_shards(client)
    for shard in range(SHARDS):
        sharded.submit(shard, NewJob("noop"))
    parts = with_one_away(sharded, 2)
    monkeypatch.setattr(parts[2], "count", lambda _: 1)

    with pytest.raises(QueueUnavailable):
        ShardedOperations(parts).start("cancel", JobQuery(), "ann")

    sharded.run_operations()
    [operation] = sharded.operations.recent()
    assert outcome(operation) == ("stopped", 2, 0, 0)
    assert statuses(sharded) == {"pending": 4}


def test_stopping_reaches_those_that_are_there(client: redis.Redis) -> None:
    sharded = open_shards(client)
    for shard in range(SHARDS):
        sharded.submit(shard, NewJob("noop"))
    operation_id = sharded.operations.start("cancel", JobQuery(), "ann")

    with pytest.raises(QueueUnavailable):
        ShardedOperations(with_one_away(sharded, 0)).stop(operation_id)

    sharded.run_operations()
    assert statuses(sharded) == {"cancelled": 1, "pending": 3}


def with_one_away(sharded: Sharded, shard: int) -> list[Operations]:
    gone = connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2)
    parts = list(sharded.parts)
    parts[shard] = Operations(gone, prefix=prefix_of(shard))
    return parts


def test_it_takes_the_same_questions_as_the_operations_of_one_shard() -> None:
    of_one = inspect.getmembers(Operations, inspect.isfunction)

    for name, method in of_one:
        own = getattr(ShardedOperations, name)
        if not name.startswith("_"):
            assert inspect.signature(own) == inspect.signature(method), name


def test_only_known_actions_are_started(sharded: Sharded) -> None:
    with pytest.raises(ValueError, match="action: must be one of"):
        sharded.operations.start("wipe", JobQuery(), "ann")  # type: ignore[arg-type]
    assert Status.CANCELLED not in statuses(sharded)
