"""Idle workers cost next to nothing, and start at once when there is work."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.processes import RETRY, System, wait_until

NO_HEARTBEAT = {"LEASE_SECONDS": "86400"}  # renewals every six hours


@pytest.fixture
def looked_after(system: System) -> System:
    """No worker stands in for the retry worker: it seems to have promoted an hour from now."""
    seconds, _ = system.client.time()
    system.client.hset(system.inspector.keys.meta, "promoted_at", (int(seconds) + 3600) * 1000)
    return system


def test_a_job_wakes_an_idle_worker(looked_after: System) -> None:
    worker = looked_after.start_idle(**NO_HEARTBEAT)

    for _ in range(3):
        job_id = looked_after.queue.submit("echo")
        looked_after.wait_for(job_id, Status.SUCCESS)
        assert looked_after.runs(job_id) == [worker.pid]


def test_many_jobs_wake_as_many_workers_as_they_need(looked_after: System) -> None:
    system = looked_after
    workers = [system.start_idle(**NO_HEARTBEAT) for _ in range(3)]
    until = system.folder / "until"

    jobs = [NewJob("loops", f'{{"until": "{until}"}}')] * 12
    job_ids = [answer.job_id for answer in system.queue.submit_many(jobs)]

    pids = [system.wait_for_run(job_id) for job_id in job_ids]
    assert sorted(pids) == sorted([worker.pid for worker in workers] * 4)
    until.touch()
    system.wait_for_all(Status.SUCCESS, 12)


def test_work_that_comes_while_all_threads_are_busy_waits_for_no_heartbeat(
    looked_after: System,
) -> None:
    system = looked_after
    system.start_idle(WORKER_CONCURRENCY="2", **NO_HEARTBEAT)
    first, second = system.folder / "first", system.folder / "second"
    busy = [system.queue.submit("loops", {"until": str(first)}) for _ in range(2)]
    for job_id in busy:
        system.wait_for_run(job_id)
    late = [system.queue.submit("loops", {"until": str(second)}) for _ in range(2)]

    first.touch()

    for job_id in late:
        system.wait_for_run(job_id)
    second.touch()
    system.wait_for_all(Status.SUCCESS, 4)


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(looked_after: System) -> None:
    system = looked_after
    system.start_idle(**NO_HEARTBEAT)
    system.queue.pause()
    before = system.scripts_called()
    job_id = system.queue.submit("echo")
    wait_until(lambda: system.scripts_called() >= before + 2, "the worker woke up and asked")
    assert system.job(job_id).status == Status.PENDING

    system.queue.resume()

    system.wait_for(job_id, Status.SUCCESS)


def test_a_scheduled_job_wakes_the_retry_worker_and_then_a_main_worker(system: System) -> None:
    system.start_idle(RETRY, **NO_HEARTBEAT)
    system.start_idle(**NO_HEARTBEAT)

    job_id = system.queue.submit("echo", delay_ms=300)

    assert system.job(job_id).status == Status.SCHEDULED
    system.wait_for(job_id, Status.SUCCESS)


def test_an_idle_worker_sends_at_most_one_command_in_two_seconds(looked_after: System) -> None:
    looked_after.start_idle(LEASE_SECONDS="60")
    wait_until_it_waits(looked_after)
    began = time.monotonic()
    before = looked_after.commands()

    time.sleep(6)

    sent = looked_after.commands() - before
    assert sent <= (time.monotonic() - began) / 2


def test_a_long_job_after_short_ones_leaves_redis_in_peace(looked_after: System) -> None:
    system = looked_after
    system.start_idle(LEASE_SECONDS="60")
    until = system.folder / "until"
    for round_number in range(1, 4):  # it claims ahead only when no stutter made a job look long
        system.queue.submit_many([NewJob("noop")] * 500)
        system.wait_for_all(Status.SUCCESS, round_number * 500)
    job_id = system.queue.submit("loops", {"until": str(until)})
    system.wait_for_run(job_id)
    wait_until_it_waits(system)
    began = time.monotonic()
    before = system.commands()

    time.sleep(3)

    sent = system.commands() - before
    until.touch()
    assert sent <= (time.monotonic() - began) / 2 + 1
    system.wait_for(job_id, Status.SUCCESS)


def wait_until_it_waits(system: System) -> None:
    """What a worker says before it waits for work, as when it starts, has been said."""
    clients: Any = system.client
    wait_until(lambda: clients.info("clients")["blocked_clients"] == 1, "it waits for work")
