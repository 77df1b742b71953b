"""Giving a job back: nothing is charged, and the job keeps its turn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue.errors import LeaseLost
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.outcome import stopped
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, let_leases_run_out, send_every_call_twice
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]


def test_a_job_given_back_is_pending_and_charged_nothing(
    queue: JobQueue, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)

    assert queue.release(job, reason="shutting down") == "ok"

    found = find(job.id)
    assert (found.status, found.retry_count, found.deaths) == (Status.PENDING, 0, 0)
    assert (found.last_error, found.attempts) == (None, 1)
    assert totals() == {"submitted": 1, "released": 1}


def test_a_job_given_back_keeps_its_rank(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    rank = store.zscore("Mail_queue", "1")
    job = claim_one(queue)
    clock.advance(seconds=30)
    queue.release(job)

    assert store.zscore("Mail_queue", "1") == rank
    assert [job.id for job in queue.claim("w2", 3)] == [1, 2, 3]


def test_a_job_given_back_with_a_delay_is_scheduled(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.release(job, delay_ms=90_000, reason="rate limit")

    found = find(job.id)
    assert (found.status, found.run_at) == (Status.SCHEDULED, clock.now + 90)
    assert (found.retry_count, found.last_error) == (0, None)


def test_giving_back_twice_gives_back_once(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    send_every_call_twice(queue, monkeypatch)

    assert queue.release(job) == "repeat"
    assert totals() == {"submitted": 1, "released": 1}


def test_a_job_can_be_given_back_again_and_again(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    for _ in range(5):
        queue.release(claim_one(queue))

    assert (find(1).attempts, find(1).retry_count) == (5, 0)


def test_a_lost_lease_cannot_give_the_job_back(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    held = claim_one(queue, "w2")

    with pytest.raises(LeaseLost):
        queue.release(job)
    assert find(job.id) == held
    assert "released" not in totals()


def test_an_attempt_that_was_stopped_without_a_lease_is_a_suspected_duplicate(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    [verdict] = queue.turn("w1", [stopped(job, "Its lease ran out.")], 0).verdicts

    assert verdict == "lost"
    assert find(job.id).status == Status.PENDING
    assert (totals()["lost"], "released" in totals()) == (1, False)


def test_a_job_given_back_after_a_cancel_was_asked_for_is_cancelled(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)
    queue.release(job, delay_ms=1000)

    assert (find(job.id).status, find(job.id).completed_at) == (Status.CANCELLED, clock.now)
    assert totals() == {"submitted": 1, "released": 1, "cancelled": 1}
