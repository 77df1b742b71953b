"""Workers of a queue with several shards, all on one server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from app.config import Config
from app.queue.growth import grow
from app.queue.job import Status
from app.queue.opening import Store
from app.queue.submission import NewJob
from tests.conftest import RedisServer
from tests.workers.processes import RETRY, System, system_on, wait_until

SHARDS = 4


@pytest.fixture
def system(server: RedisServer, client: redis.Redis, tmp_path: Path) -> Iterator[System]:
    """Of one shard, as far as anybody knows."""
    with system_on(server.url, tmp_path) as system:
        yield system


def open_store(system: System, shards: int) -> Store:
    config = replace(Config.load(env_file=None), redis_url=system.url, queue_shards=shards)
    store = Store(config, name="tests")
    store.queue.ensure_schema()
    system.queue, system.inspector = store.queue, store.inspector()
    return store


def test_workers_do_the_jobs_of_all_shards(system: System) -> None:
    store = open_store(system, SHARDS)
    system.start_idle(QUEUE_SHARDS="4")
    system.start_idle(RETRY, QUEUE_SHARDS="4")
    ids = [store.queue.submit("noted") for _ in range(40)]
    ids += [store.queue.submit("unlucky", max_retries=2) for _ in range(SHARDS)]
    ids += [store.queue.submit("noted", delay_ms=200) for _ in range(SHARDS)]

    system.wait_for_all(Status.SUCCESS, 40 + SHARDS)
    system.wait_for_all(Status.PERMANENTLY_FAILED, SHARDS)
    assert {job_id % SHARDS for job_id in ids} == set(range(SHARDS))
    assert [worker.stop() for worker in system.workers] == [0, 0]
    assert store.queue.repair() == []


def test_an_idle_worker_is_woken_by_every_shard(system: System) -> None:
    store = open_store(system, SHARDS)
    worker = system.start_idle(QUEUE_SHARDS="4", LEASE_SECONDS="60")
    for _ in range(2 * SHARDS):
        job_id = store.queue.submit("noted")
        system.wait_for(job_id, Status.SUCCESS, seconds=10)
    assert worker.stop() == 0


def test_a_busy_worker_serves_all_shards_in_turn(system: System) -> None:
    store = open_store(system, SHARDS)
    for _ in range(SHARDS):
        for _ in range(3):
            store.queue.submit_many([NewJob("noted")] * 100)

    system.start(QUEUE_SHARDS="4", WORKER_CONCURRENCY="2")

    wait_until(lambda: len(system.notes()) > 60, "some jobs ran")
    assert {job_id % SHARDS for job_id, _, _ in system.notes()[:60]} == set(range(SHARDS))


@pytest.mark.parametrize("before", [1, 2])
def test_shards_are_added_while_workers_run(system: System, before: int) -> None:
    store = open_store(system, before)
    worker = system.start_idle(QUEUE_SHARDS=str(before))
    system.start(RETRY, QUEUE_SHARDS=str(before))
    jobs = [NewJob("noted", idempotency_key=f"k{n}") for n in range(60)]
    known = [answer.job_id for answer in store.queue.submit_many(jobs[:30])]
    store.queue.submit("noted", delay_ms=1_000)

    grow(store.queue.shards, SHARDS)

    later = open_store(system, SHARDS)
    everything = [answer.job_id for answer in later.queue.submit_many(jobs)]
    assert everything[:30] == known
    assert {job_id % SHARDS for job_id in everything[30:]} == set(range(SHARDS))
    system.wait_for_all(Status.SUCCESS, 61)
    assert sorted(set(everything)) == sorted(
        job_id for job_id, _, _ in system.notes() if job_id in everything
    )
    # One that is started with what was right before follows, and says what to set.
    other = system.start_idle(QUEUE_SHARDS=str(before))
    told = f"QUEUE_SHARDS: the store has {SHARDS} shards by now"
    wait_until(lambda: told in other.log(), "it says so")
    assert [worker.stop(), other.stop()] == [0, 0]


def test_workers_of_a_paused_queue_do_nothing_of_shards_that_are_added(system: System) -> None:
    store = open_store(system, 1)
    system.start_idle()
    store.queue.pause()
    grow(store.queue.shards, SHARDS)
    ids = [store.queue.submit("noted") for _ in range(20)]
    other = system.start_idle(QUEUE_SHARDS="4")

    assert {part.shard_facts().paused for part in store.queue.parts()} == {True}
    assert [other.stop(), system.notes()] == [0, []]
    store.queue.resume()
    wait_until(lambda: sorted(job_id for job_id, _, _ in system.notes()) == sorted(ids), "all ran")


def test_a_job_that_must_run_alone_does_so_in_whichever_shard(system: System) -> None:
    open_store(system, SHARDS)
    system.start(RETRY, QUEUE_SHARDS="4", LEASE_SECONDS="2")
    first = system.start(QUEUE_SHARDS="4", LEASE_SECONDS="2")
    ids = [system.queue.submit("loops", {"seconds": 1}, max_retries=1) for _ in range(SHARDS)]
    for job_id in ids:
        system.wait_for_run(job_id)
    first.kill()
    second = system.start(QUEUE_SHARDS="4", LEASE_SECONDS="2")

    for job_id in ids:
        assert system.wait_for(job_id, Status.SUCCESS).deaths == 1
        assert second.pid != system.runs(job_id)[1]


def test_a_worker_with_a_number_of_shards_that_the_store_never_had_ends(system: System) -> None:
    store = open_store(system, 2)
    store.queue.submit("noted")

    worker = system.start(QUEUE_SHARDS="8")

    assert worker.exit_code() == 2
    assert "flask queue shards 8" in worker.log()


def test_an_idle_worker_costs_each_shard_next_to_nothing(system: System) -> None:
    store = open_store(system, SHARDS)
    seconds, _ = system.client.time()
    for part in store.queue.parts():  # somebody seems to promote
        system.client.hset(part.keys.meta, "promoted_at", (int(seconds) + 3600) * 1000)
    system.start_idle(QUEUE_SHARDS="4", LEASE_SECONDS="86400")
    wait_until(lambda: system.client.info("clients")["blocked_clients"] == SHARDS, "it waits")
    before = system.commands()

    # A wait ends and begins again, and a claim goes with it, every few seconds in each shard.
    wait_until(lambda: system.commands() >= before + SHARDS, "the waits ended")
    assert system.client.info("clients")["blocked_clients"] <= SHARDS
    assert system.commands() <= before + 2 * SHARDS
