"""Abandoning: a worker reports that the child process that ran the job died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import redis

from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]


def test_an_abandoned_job_is_reaped_at_once_and_a_death_is_counted(
    queue: JobQueue, find: Find
) -> None:
    queue.submit("noop")
    queue.abandon(claim_one(queue))
    assert find(1).status == Status.PROCESSING

    assert queue.reap().requeued == [1]
    assert (find(1).status, find(1).deaths) == (Status.PENDING, 1)


def test_an_abandoned_job_wakes_the_retry_worker(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    store.delete("Wake:due")
    queue.abandon(job)

    assert store.exists("Wake:due")


def test_abandoning_twice_is_one_death(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.abandon(job)
    queue.reap()
    queue.abandon(job)
    queue.reap()

    assert find(1).deaths == 1


def test_a_lost_lease_cannot_abandon_the_job(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    held = claim_one(queue, "w2")
    queue.abandon(job)
    queue.abandon(replace(held, token=""))

    assert queue.reap().requeued == []
    assert find(1) == held


def test_a_job_that_is_gone_or_waits_cannot_be_abandoned(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.release(job)
    queue.abandon(job)
    assert find(1).status == Status.PENDING

    queue.delete(1)
    queue.abandon(job)
