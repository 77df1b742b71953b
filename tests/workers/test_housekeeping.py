"""When the housekeeper wants to be called again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from app.config import Config
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.workers.processes import wait_until
from workers import housekeeping
from workers.housekeeping import Housekeeper


@pytest.fixture
def queue(client: redis.Redis) -> JobQueue:
    return JobQueue(client)


@pytest.mark.parametrize(
    ("lease_seconds", "interval_seconds"), [(60.0, 5.0), (3600.0, 5.0), (8.0, 1.0), (0.8, 0.1)]
)
def test_without_work_it_comes_every_few_seconds_and_often_enough_for_the_reaper(
    queue: JobQueue, config: Config, lease_seconds: float, interval_seconds: float
) -> None:
    housekeeper = Housekeeper(replace(config, lease_seconds=lease_seconds), queue)

    assert housekeeper.round() == pytest.approx(interval_seconds)


def test_it_comes_when_the_next_job_is_due(queue: JobQueue, config: Config) -> None:
    housekeeper = Housekeeper(config, queue)
    queue.submit("echo", delay_ms=3_600_000)
    assert housekeeper.round() == 5.0

    queue.submit("echo", delay_ms=4_000)

    assert 0 < housekeeper.round() <= 4


def test_while_more_is_due_it_comes_at_once(
    queue: JobQueue, config: Config, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PROMOTE_LIMIT", 2)
    queue.submit_many([NewJob("echo", delay_ms=1)] * 3)
    wait_until(lambda: seconds_of(client) > newest_due_seconds(queue, client), "all are due")
    housekeeper = Housekeeper(config, queue)

    assert housekeeper.round() == 0.0
    assert client.zcard(queue.keys.pending) == 2
    assert housekeeper.round() == 5.0
    assert client.zcard(queue.keys.pending) == 3


def test_while_there_is_more_to_trim_it_comes_at_once(
    queue: JobQueue, config: Config, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "TRIM_LIMIT", 1)
    monkeypatch.setattr(housekeeping, "TRIM_CALLS", 1)
    finish(queue, 3)
    housekeeper = Housekeeper(replace(config, retention_max_jobs=1), queue)

    waits = [housekeeper.round() for _ in range(3)]

    assert waits == [0.0, 0.0, 5.0]
    assert client.hlen(queue.keys.jobs) == 1


def test_it_does_not_trim_each_time(queue: JobQueue, config: Config, client: redis.Redis) -> None:
    housekeeper = Housekeeper(replace(config, retention_max_jobs=1), queue)
    housekeeper.round()
    finish(queue, 3)

    housekeeper.round()

    assert client.hlen(queue.keys.jobs) == 3


def test_payloads_are_wiped_only_when_asked_for(
    queue: JobQueue, config: Config, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "DAY_MS", 1)
    finish(queue, 3)
    done_ms = int(client.zrange("Completed:success:echo:low:1", -1, -1, withscores=True)[0][1])
    wait_until(lambda: seconds_of(client) * 1000 > done_ms + 1, "a millisecond is over")
    kept = replace(config, retention_success_days=0)
    Housekeeper(kept, queue).round()
    assert set(client.hvals(queue.keys.payloads)) == {"{}"}

    Housekeeper(replace(kept, retention_payload_days=1), queue).round()

    assert set(client.hvals(queue.keys.payloads)) == {""}
    assert client.hlen(queue.keys.jobs) == 3


def test_it_takes_back_more_dead_jobs_than_one_call_does(
    client: redis.Redis, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "REAP_LIMIT", 2)
    queue = JobQueue(client, lease_ms=2000)
    queue.reap()
    queue.submit_many([NewJob("echo")] * 5)
    for job in queue.claim("dead", 5):
        queue.abandon(job)

    Housekeeper(config, queue).round()

    assert client.zcard(queue.keys.pending) == 5
    assert client.zcard(queue.keys.processing) == 0


def finish(queue: JobQueue, count: int) -> None:
    queue.submit_many([NewJob("echo")] * count)
    for job in queue.claim("w", count):
        assert queue.complete(job) == "ok"


def seconds_of(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return int(seconds) + int(microseconds) / 1e6


def newest_due_seconds(queue: JobQueue, client: redis.Redis) -> float:
    [(_, due_ms)] = client.zrange(queue.keys.scheduled, -1, -1, withscores=True)
    return float(due_ms) / 1000
