"""Failing: the retry that waits, the job that is given up, and what is kept of an attempt."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis

from app.queue import outcome
from app.queue.errors import LeaseLost
from app.queue.inspector import Inspector
from app.queue.job import Attempt, Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.steps import (
    cancel_as_worker,
    claim_one,
    let_leases_run_out,
    send_every_call_twice,
)
from tests.queue.virtual_time import Clock, virtual_source

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]


@pytest.fixture
def attempts(store: redis.Redis) -> Callable[[int], list[Attempt]]:
    return Inspector(store, source=virtual_source(store)).attempts


def test_a_failed_job_waits_for_its_retry(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=2)

    assert queue.fail(job, "451 later", retry_in_ms=30_000, smtp_code=451) == "ok"

    found = find(job.id)
    assert (found.status, found.run_at) == (Status.FAILED, clock.now + 30)
    assert (found.retry_count, found.last_error) == (1, "451 later")
    assert (found.completed_at, found.token) == (None, None)
    assert totals() == {"submitted": 1, "failed": 1}


@pytest.mark.parametrize("retry_in_ms", [30_000, None])
def test_an_attempt_that_perhaps_did_its_work_is_counted(
    queue: JobQueue, totals: Totals, retry_in_ms: int | None
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    failed = outcome.failed(job, "no answer", retry_in_ms=retry_in_ms, unconfirmed=True)

    for verdict in ("ok", "repeat"):
        assert queue.turn("w", [failed], 0).verdicts == [verdict]
        assert totals()["unconfirmed"] == 1


def test_a_job_that_is_given_up_is_final(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)

    assert queue.fail(job, "550 no such user", retry_in_ms=None) == "ok"

    found = find(job.id)
    assert (found.status, found.completed_at) == (Status.PERMANENTLY_FAILED, clock.now)
    assert (found.retry_count, found.run_at) == (1, None)
    assert totals() == {"submitted": 1, "failed": 1, "permanently_failed": 1}


def test_a_failed_attempt_may_leave_a_result(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    failed = outcome.failed(job, "no", retry_in_ms=None, result={"accepted": ["a@example.org"]})
    queue.turn("w1", [failed], 0)

    assert find(job.id).result == {"accepted": ["a@example.org"]}


def test_each_attempt_leaves_a_line_in_the_history(
    queue: JobQueue, clock: Clock, attempts: Callable[[int], list[Attempt]]
) -> None:
    queue.submit("noop")
    started = clock.now
    queue.release(claim_one(queue, "w1"), reason="shutting down")
    job = claim_one(queue, "w2")
    clock.advance(seconds=1)
    queue.fail(job, "451 later 😀", retry_in_ms=1000, smtp_code=451)
    clock.advance(seconds=1)
    queue.promote()
    job = claim_one(queue, "w3")
    clock.advance(seconds=1)
    queue.complete(job)

    assert attempts(job.id) == [
        Attempt(1, started, started, "w1", "released", "shutting down"),
        Attempt(2, started, started + 1, "w2", "failed", "451 later 😀", 451),
        Attempt(3, started + 2, started + 3, "w3", "success"),
    ]


def test_the_history_keeps_the_latest_attempts_when_it_grows_too_long(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit("noop")
    for _ in range(40):
        queue.fail(claim_one(queue), "x" * 2000, retry_in_ms=1)
        clock.advance(ms=1)
        queue.promote()

    history = store.hget("Job_attempts", "1")
    lines = [json.loads(line) for line in history.split("\n")]
    assert len(history) <= 65_536
    assert [line["n"] for line in lines] == list(range(41 - len(lines), 41))
    assert len(lines) > 25


def test_an_error_text_is_one_printable_line(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    queue.fail(claim_one(queue), "two\nlines \x00 \ud800 " + "é" * 3000, retry_in_ms=None)

    text = find(1).last_error or ""
    assert text.startswith("two lines é")
    assert len(text) == 2000


def test_failing_twice_charges_once(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    send_every_call_twice(queue, monkeypatch)

    assert queue.fail(job, "no", retry_in_ms=1000) == "repeat"

    assert find(job.id).retry_count == 1
    assert totals() == {"submitted": 1, "failed": 1}


def test_a_failure_sent_again_after_the_retry_began_is_lost(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.fail(job, "no", retry_in_ms=1)
    clock.advance(ms=1)
    queue.promote()
    held = claim_one(queue, "w2")

    with pytest.raises(LeaseLost):
        queue.fail(job, "no", retry_in_ms=1)
    assert find(job.id) == held


def test_a_failure_after_the_reaper_is_lost_and_the_job_goes_on(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    with pytest.raises(LeaseLost):
        queue.fail(job, "no", retry_in_ms=None)
    assert (find(job.id).status, find(job.id).retry_count) == (Status.PENDING, 0)


def test_a_worker_that_stopped_for_a_cancel_ends_the_job_as_cancelled(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)
    cancel_as_worker(queue, job)

    found = find(job.id)
    assert (found.status, found.completed_at) == (Status.CANCELLED, clock.now)
    assert (found.retry_count, found.cancel_requested) == (0, False)
    assert totals() == {"submitted": 1, "cancelled": 1}


def test_a_job_that_fails_after_a_cancel_was_asked_for_is_not_retried(
    queue: JobQueue, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)
    queue.fail(job, "451 later", retry_in_ms=1000)

    found = find(job.id)
    assert (found.status, found.retry_count, found.run_at) == (Status.CANCELLED, 1, None)
    assert totals() == {"submitted": 1, "failed": 1, "cancelled": 1}


def test_a_job_that_succeeds_although_a_cancel_was_asked_for_is_a_success(
    queue: JobQueue, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)
    queue.complete(job)

    assert (find(job.id).status, find(job.id).cancel_requested) == (Status.SUCCESS, False)
