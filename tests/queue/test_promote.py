"""Promoting: what is due becomes pending."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue.answers import Promotion
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, job_in, send_every_call_twice
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]

WAITING = pytest.mark.parametrize("status", [Status.SCHEDULED, Status.FAILED])


@WAITING
def test_a_job_is_promoted_when_it_is_due_and_not_before(
    queue: JobQueue, find: Find, clock: Clock, status: Status
) -> None:
    job_id = job_in(status, queue, clock)
    clock.advance(ms=4_999)
    assert queue.promote() == Promotion(0, 1)
    assert find(job_id).status == status

    clock.advance(ms=1)
    assert queue.promote() == Promotion(1, None)
    found = find(job_id)
    assert (found.status, found.run_at) == (Status.PENDING, None)
    assert claim_one(queue).id == job_id


def test_a_promoted_job_ranks_by_when_it_was_due(queue: JobQueue, clock: Clock) -> None:
    late = queue.submit("noop", delay_ms=2_000)
    early = queue.submit("noop", delay_ms=1_000)
    clock.advance(ms=1_500)
    between = queue.submit("noop")
    clock.advance(seconds=60)
    after = queue.submit("noop")
    queue.promote()

    assert [job.id for job in queue.claim("w1", 9)] == [early, between, late, after]


def test_a_retried_job_ranks_by_when_its_retry_was_due(queue: JobQueue, clock: Clock) -> None:
    refused = queue.submit("noop")
    queue.fail(claim_one(queue), "no", retry_in_ms=5_000)
    clock.advance(seconds=1)
    fresh = queue.submit("noop")
    clock.advance(seconds=60)
    queue.promote()

    assert [job.id for job in queue.claim("w1", 9)] == [fresh, refused]


def test_the_next_due_time_is_the_first_of_both_kinds(queue: JobQueue) -> None:
    assert queue.promote() == Promotion(0, None)
    queue.submit("noop")
    queue.fail(claim_one(queue), "no", retry_in_ms=7_000)
    assert queue.promote() == Promotion(0, 7_000)
    queue.submit("noop", delay_ms=3_000)
    assert queue.promote() == Promotion(0, 3_000)
    queue.submit("noop", delay_ms=9_000)
    assert queue.promote() == Promotion(0, 3_000)


def test_one_call_moves_no_more_than_its_limit_and_says_that_more_is_due(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    for job in queue.claim("w1", 3):
        queue.fail(job, "no", retry_in_ms=10)
    queue.submit_many([NewJob("noop", delay_ms=10)] * 4)
    clock.advance(ms=10)

    assert queue.promote(limit=5) == Promotion(5, 0)
    assert queue.promote(limit=5) == Promotion(2, None)
    assert len(queue.claim("w1", 9)) == 7


def test_more_jobs_than_fit_one_redis_command_are_promoted(
    queue: JobQueue, clock: Clock, totals: Totals
) -> None:
    queue.submit_many([NewJob("noop", delay_ms=10)] * 1_250)
    clock.advance(ms=10)

    assert queue.promote(limit=5_000) == Promotion(1_250, None)
    assert totals() == {"submitted": 1_250, "promoted": 1_250}


def test_a_promotion_that_is_sent_twice_moves_each_job_once(
    queue: JobQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    queue.submit("noop", priority=Priority.HIGH)
    queue.fail(claim_one(queue), "no", retry_in_ms=10)
    clock.advance(ms=10)
    send_every_call_twice(queue, monkeypatch)
    queue.promote()

    assert totals() == {"submitted": 1, "failed": 1, "retried": 1}


@WAITING
def test_an_id_without_a_job_is_removed(
    queue: JobQueue, store: redis.Redis, status: Status
) -> None:
    place = {Status.SCHEDULED: "Scheduled_queue", Status.FAILED: "Retry_queue"}[status]
    store.zadd(place, {"77": 1})

    assert queue.promote() == Promotion(0, None)
    assert not store.exists(place)
