"""Completing: whose word counts, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.queue import outcome as outcomes
from app.queue.errors import LeaseLost
from app.queue.inspector import Inspector
from app.queue.job import Attempt, Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.steps import claim_one, let_leases_run_out, send_every_call_twice
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]


def test_a_completed_job_is_a_success(queue: JobQueue, find: Find, clock: Clock) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=2)

    assert queue.complete(job, {"message_id": "<7@example.org>"}) == "ok"

    found = find(job.id)
    assert (found.status, found.completed_at) == (Status.SUCCESS, clock.now)
    assert (found.picked_at, found.worker) == (clock.now - 2, "w1")
    assert found.result == {"message_id": "<7@example.org>"}
    assert found.token is None


@pytest.mark.parametrize("result", [None, [], {}, "é\u0000", 0, [1, {"a": []}], 1e300])
def test_the_result_is_kept_as_it_is(queue: JobQueue, find: Find, result: Any) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.complete(job, result)

    assert find(job.id).result == result


@pytest.mark.parametrize("result", [object(), float("nan"), "x" * 40_000])
def test_a_result_that_cannot_be_kept_does_not_fail_the_job(
    queue: JobQueue, find: Find, result: Any
) -> None:
    queue.submit("noop")
    job = claim_one(queue)

    assert queue.complete(job, result) == "ok"
    assert "not_kept" in find(job.id).result


def test_a_success_after_a_failure_still_tells_the_last_error(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    queue.submit("noop")
    queue.fail(claim_one(queue), "451 later", retry_in_ms=1)
    clock.advance(ms=1)
    queue.promote()
    job = claim_one(queue)
    queue.complete(job)

    found = find(job.id)
    assert (found.last_error, found.retry_count, found.attempts) == ("451 later", 1, 2)


def test_the_history_of_a_success_comes_from_its_record(
    queue: JobQueue, store: Any, source: Any, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=1)
    queue.complete(job)

    assert not store.exists("Job_attempts")
    [attempt] = Inspector(store, source=source).attempts(job.id)
    assert attempt == Attempt(1, clock.now - 1, clock.now, "w1", "success")


def test_completing_twice_counts_once(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    send_every_call_twice(queue, monkeypatch)

    assert queue.complete(job) == "repeat"
    assert totals() == {"submitted": 1, "succeeded": 1}


def test_the_first_word_of_a_lease_is_its_last(queue: JobQueue, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.complete(job)

    assert queue.fail(job, "no", retry_in_ms=None) == "repeat"
    assert queue.release(job) == "repeat"
    assert find(job.id).status == Status.SUCCESS


def test_a_lease_that_ran_out_but_was_not_reaped_can_still_complete(
    queue: JobQueue, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=3600)

    assert queue.complete(job) == "ok"
    assert totals() == {"submitted": 1, "succeeded": 1}


def test_a_completion_after_the_reaper_counts_when_nobody_has_begun_since(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    assert queue.complete(job) == "late"

    found = find(job.id)
    assert (found.status, found.deaths, found.worker) == (Status.SUCCESS, 1, "w1")
    assert totals() == {"submitted": 1, "succeeded": 1, "died": 1, "late": 1}
    assert queue.complete(job) == "repeat"
    assert queue.claim("w2", 1) == []


def test_a_worker_that_lost_its_lease_cannot_complete_the_job(
    queue: JobQueue, clock: Clock, find: Find, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    held = claim_one(queue, "w2")

    with pytest.raises(LeaseLost, match="The lease of job 1 is no longer this worker's"):
        queue.complete(job)

    assert find(job.id) == held
    assert totals() == {"submitted": 1, "died": 1, "lost": 1}
    assert queue.complete(held) == "ok"


def test_a_late_completion_is_lost_once_somebody_else_had_the_job(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    queue.release(claim_one(queue, "w2"))

    with pytest.raises(LeaseLost):
        queue.complete(job)


def test_a_late_completion_of_a_job_that_was_cancelled_is_lost(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    queue.cancel(job.id)

    with pytest.raises(LeaseLost):
        queue.complete(job)
    queue.retry(job.id)
    with pytest.raises(LeaseLost):
        queue.complete(job)

    assert find(job.id).status == Status.PENDING


@pytest.mark.parametrize("token", ["", "somebody else's"])
def test_a_wrong_token_ends_nothing(queue: JobQueue, find: Find, token: str) -> None:
    queue.submit("noop")
    stranger = replace(claim_one(queue), token=token)

    for settle in (
        lambda: queue.complete(stranger),
        lambda: queue.fail(stranger, "no", retry_in_ms=1),
        lambda: queue.release(stranger),
    ):
        with pytest.raises(LeaseLost):
            settle()
    assert find(stranger.id).status == Status.PROCESSING


def test_a_deleted_job_cannot_be_completed(queue: JobQueue, totals: Totals) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.release(job)
    queue.delete(job.id)

    with pytest.raises(LeaseLost):
        queue.complete(job)
    assert totals()["lost"] == 1


@pytest.mark.parametrize("token", ["", "t"])
def test_a_job_that_waits_cannot_be_completed(queue: JobQueue, find: Find, token: str) -> None:
    queue.submit("noop")
    waiting = replace(find(1), token=token)

    with pytest.raises(LeaseLost):
        queue.complete(waiting)
    assert find(1).status == Status.PENDING


def test_a_turn_that_completes_a_job_late_claims_another(queue: JobQueue, clock: Clock) -> None:
    """Not the one that it completed, which was pending until then, and the first in line."""
    first, second = queue.submit("noop"), queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    turn = queue.turn("w1", [outcomes.completed(job)], 1)

    assert job.id == first
    assert (turn.verdicts, [claimed.id for claimed in turn.jobs]) == (["late"], [second])
