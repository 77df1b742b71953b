"""Operations run wherever housekeeping is done."""

from __future__ import annotations

import pytest
import redis

from app.config import Config
from app.queue.jobqueue import JobQueue
from app.queue.listing import JobQuery
from app.queue.operations import Operations
from app.queue.submission import NewJob
from workers import housekeeping
from workers.housekeeping import Housekeeper


@pytest.fixture
def queue(client: redis.Redis) -> JobQueue:
    return JobQueue(client)


@pytest.fixture
def operations(client: redis.Redis) -> Operations:
    return Operations(client)


def test_a_round_does_all_of_an_operation(
    queue: JobQueue,
    operations: Operations,
    config: Config,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "OPERATE_SECONDS", 60.0)  # on a machine that may stall
    queue.submit_many([NewJob("echo")] * 250)
    operation_id = operations.start("cancel", JobQuery(), "ann")

    assert Housekeeper(config, queue).round() == 5.0

    operation = operations.get(operation_id)
    assert (operation.status, operation.done) == ("done", 250)
    assert client.zcard(queue.keys.pending) == 0


def test_a_large_operation_lets_other_work_in_and_goes_on_at_once(
    queue: JobQueue,
    operations: Operations,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "OPERATE_SECONDS", 0.0)
    queue.submit_many([NewJob("echo")] * 150)
    operation_id = operations.start("cancel", JobQuery(), "ann")
    housekeeper = Housekeeper(config, queue)

    waits = [housekeeper.round(), housekeeper.round()]

    assert waits == [0.0, 0.0]
    assert operations.get(operation_id).done == 150
    assert housekeeper.round() == 5.0
    assert operations.get(operation_id).status == "done"
