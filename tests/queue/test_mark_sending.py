"""The point of no return, and what is known of an attempt that was lost after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.outcome import failed
from app.queue.upkeep import DEATHS_MAX
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]


def lost_after_the_mark(queue: JobQueue, clock: Clock) -> Job:
    """The job, pending again; its worker never told how the sending ended."""
    queue.submit("noop")
    job = claim_one(queue)
    assert queue.mark_sending(job) == "ok"
    let_leases_run_out(queue, clock)
    return job


def test_the_mark_renews_the_lease(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=15)

    assert queue.mark_sending(job) == "ok"
    assert find(job.id).sending
    assert store.zscore("Processing", "1") == clock.now_ms + 60_000


def test_the_mark_says_nothing_of_the_worker(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop")
    job = claim_one(queue, "w1")
    queue.mark_sending(job)
    assert store.zrange("Workers", 0, -1) == []

    queue.renew("w1", [job], {"pid": 7})
    queue.mark_sending(job)
    assert store.zrange("Workers", 0, -1) == ["w1"]
    assert store.get("Worker:w1") == '{"pid": 7}'


def test_a_job_to_be_cancelled_gets_no_mark(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)

    assert queue.mark_sending(job) == "cancel"
    assert not find(job.id).sending


def test_a_job_of_another_worker_gets_no_mark(queue: JobQueue, clock: Clock, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    assert queue.mark_sending(replace(job, token="x")) == "lost"
    let_leases_run_out(queue, clock)
    assert queue.mark_sending(job) == "lost"
    claim_one(queue, "w2")
    assert queue.mark_sending(job) == "lost"
    queue.delete(queue.submit("noop"))
    assert queue.mark_sending(replace(job, id=2)) == "lost"

    assert not find(job.id).sending


def test_an_attempt_that_was_lost_after_the_mark_is_unconfirmed(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals
) -> None:
    job = lost_after_the_mark(queue, clock)
    assert totals().get("unconfirmed") is None

    again = claim_one(queue, "w2")

    assert (again.unconfirmed, again.sending) == (True, False)
    assert find(job.id) == again
    assert totals()["unconfirmed"] == 1


def test_an_attempt_that_was_lost_before_the_mark_is_not(
    queue: JobQueue, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    claim_one(queue)
    let_leases_run_out(queue, clock)

    assert not claim_one(queue).unconfirmed
    assert "unconfirmed" not in totals()


@pytest.mark.parametrize("end", ["complete", "late", "fail", "release"])
def test_an_attempt_that_told_how_it_ended_is_not(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals, end: str
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.mark_sending(job)
    if end == "late":
        let_leases_run_out(queue, clock)
    if end in ("complete", "late"):
        queue.complete(job)
    elif end == "fail":
        queue.fail(job, "no", retry_in_ms=0)
        queue.promote()
    else:
        queue.release(job)

    found = find(job.id)
    assert not found.sending and not found.unconfirmed
    for again in queue.claim("w2"):
        assert not again.unconfirmed
    assert "unconfirmed" not in totals()


@pytest.mark.parametrize("end", ["fail", "release", "reap"])
def test_it_stays_unconfirmed_until_it_succeeds(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals, end: str
) -> None:
    lost_after_the_mark(queue, clock)
    job = claim_one(queue)
    if end == "fail":
        queue.fail(job, "no", retry_in_ms=0)
        queue.promote()
    elif end == "release":
        queue.release(job)
    else:
        let_leases_run_out(queue, clock)

    again = claim_one(queue)
    assert again.unconfirmed
    queue.complete(again)
    assert not find(job.id).unconfirmed
    assert totals()["unconfirmed"] == 1


def test_a_person_who_retries_it_has_decided(queue: JobQueue, clock: Clock, find: Find) -> None:
    lost_after_the_mark(queue, clock)
    job = claim_one(queue)
    queue.turn("w1", [failed(job, "ambiguous: held", retry_in_ms=None)], 0)
    assert find(job.id).unconfirmed

    queue.retry(job.id)

    assert not claim_one(queue).unconfirmed


def test_a_mark_on_a_poisoned_job_is_not_forgotten(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    job_id = queue.submit("noop")
    for _ in range(DEATHS_MAX):
        queue.mark_sending(claim_one(queue))
        let_leases_run_out(queue, clock)
    job = find(job_id)
    assert job.status == Status.PERMANENTLY_FAILED
    assert job.last_error == "poison: its worker died 3 times; its work was perhaps done"

    queue.retry(job_id)

    assert claim_one(queue).unconfirmed
