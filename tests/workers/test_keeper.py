"""The thread that renews, on a real queue with leases that a test can wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from app.queue.answers import Renewal
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from tests.workers.crews import TestCrew
from tests.workers.processes import wait_until
from workers.keeper import Keeper
from workers.slot import Cancelled, LeaseGone


@pytest.fixture
def queue(client: redis.Redis) -> JobQueue:
    return JobQueue(client, lease_ms=400)


@contextmanager
def keeping(queue: JobQueue, crew: TestCrew, held: Callable[[], list[Job]]) -> Iterator[Keeper]:
    keeper = Keeper(
        queue,
        "keeper",
        crew.crew.slots,
        held=held,
        presence=lambda: {"role": "main"},
        on_renewal=lambda renewal: None,
        on_stuck=lambda job: None,
    )
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def looping_crew(size: int) -> tuple[TestCrew, threading.Event]:
    goes_on = threading.Event()

    def run(_job: Job) -> str:
        while not goes_on.is_set():
            time.sleep(0.001)
        return "finished"

    return TestCrew(size, run), goes_on


def claim_again(queue: JobQueue) -> Job:
    """Claims once the earlier lease has been reaped."""

    def reaped() -> bool:
        return bool(queue.reap().requeued)

    wait_until(reaped, "the lease has run out")
    [job] = queue.claim("again")
    return job


def test_of_two_leases_of_one_job_only_the_older_is_stopped(queue: JobQueue) -> None:
    queue.submit("echo")
    [older] = queue.claim("before")
    newer = claim_again(queue)
    newer.deaths = 0  # here both run in threads
    crew, goes_on = looping_crew(2)
    crew.crew.hand_over([older, newer])
    crew.running(older)
    crew.running(newer)

    with keeping(queue, crew, lambda: [older, newer]) as keeper:
        [(job, _)] = crew.finished(1)
        assert job is older
        assert crew.interruptions == [(older, LeaseGone)]
        assert keeper.lost == {older.lease}
        goes_on.set()
        [(job, outcome)] = crew.finished(1)

    assert job is newer
    assert outcome is not None
    assert outcome.verb == "complete"
    assert len(crew.interruptions) == 1


def test_a_lost_job_that_has_not_begun_is_known(queue: JobQueue) -> None:
    job_id = queue.submit("echo")
    [job] = queue.claim("before")
    claim_again(queue)
    crew, _ = looping_crew(1)

    with keeping(queue, crew, lambda: [job]) as keeper:
        wait_until(lambda: keeper.lost == {(job_id, job.token)}, "the loss is known")


def test_a_settled_job_is_no_loss_to_the_next_attempt(queue: JobQueue) -> None:
    """The renewal was on its way when the job was given back and claimed again."""
    queue.submit("echo")
    [earlier] = queue.claim("keeper")
    queue.release(earlier)
    [later] = queue.claim("keeper")
    crew, goes_on = looping_crew(1)
    crew.crew.hand_over([later])
    crew.running(later)

    with keeping(queue, crew, lambda: [earlier]) as keeper:
        wait_until(lambda: keeper.lost, "the renewal was answered")
        goes_on.set()
        crew.finished(1)

    assert crew.interruptions == []


def test_a_job_that_shall_be_cancelled_is_stopped(queue: JobQueue) -> None:
    job_id = queue.submit("echo")
    [job] = queue.claim("keeper")
    crew, _ = looping_crew(1)
    crew.crew.hand_over([job])
    crew.running(job)

    with keeping(queue, crew, lambda: [job]):
        queue.cancel(job_id)
        crew.finished(1)

    assert crew.interruptions == [(job, Cancelled)]
    assert job.cancel_requested


@pytest.mark.parametrize("error", [QueueUnavailable("away"), RuntimeError("a fault of ours")])
def test_it_goes_on_after_a_failure(
    queue: JobQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    queue.submit("echo")
    [job] = queue.claim("keeper")
    renew, failures = queue.renew, [error, error]

    def fail_twice(*args: object, **more: object) -> Renewal:
        if failures:
            raise failures.pop()
        return renew(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "renew", fail_twice)
    crew, _ = looping_crew(1)

    with keeping(queue, crew, lambda: [job]):
        wait_until(lambda: not failures, "it has failed twice")
        lease_end = client.zscore(queue.keys.processing, str(job.id))
        wait_until(
            lambda: client.zscore(queue.keys.processing, str(job.id)) != lease_end,
            "the lease is renewed",
        )
