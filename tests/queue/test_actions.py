"""What a person does to one job: retry, cancel, delete."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue.errors import JobNotFound, WrongStatus
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.steps import claim_one, job_in, let_leases_run_out, send_every_call_twice
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]

RETRYABLE = (Status.FAILED, Status.PERMANENTLY_FAILED, Status.CANCELLED)
CANCELLABLE = (Status.SCHEDULED, Status.PENDING, Status.FAILED)


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
def test_a_job_that_does_not_exist_is_not_found(queue: JobQueue, verb: str) -> None:
    with pytest.raises(JobNotFound, match=r"^Job 7 not found\.$") as caught:
        getattr(queue, verb)(7)
    assert caught.value.job_id == 7


@pytest.mark.parametrize(
    ("verb", "status", "text"),
    [
        ("retry", Status.SCHEDULED, "Cannot retry job 1: it is scheduled."),
        ("retry", Status.PENDING, "Cannot retry job 1: it is pending."),
        ("retry", Status.PROCESSING, "Cannot retry job 1: it is being processed."),
        ("cancel", Status.CANCELLED, "Cannot cancel job 1: it was cancelled."),
        ("cancel", Status.PERMANENTLY_FAILED, "Cannot cancel job 1: it has permanently failed."),
        ("delete", Status.PROCESSING, "Cannot delete job 1: it is being processed."),
    ],
)
def test_a_status_that_forbids_it_is_named(
    queue: JobQueue, clock: Clock, verb: str, status: Status, text: str
) -> None:
    job_in(status, queue, clock)

    with pytest.raises(WrongStatus) as caught:
        getattr(queue, verb)(1)

    assert str(caught.value) == text
    assert (caught.value.job_id, caught.value.verb, caught.value.found) == (1, verb, status)


# ── retry ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", RETRYABLE)
def test_a_retried_job_is_pending_now(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals, status: Status
) -> None:
    job_id = job_in(status, queue, clock)
    clock.advance(seconds=3)
    before = find(job_id)
    queue.retry(job_id)

    found = find(job_id)
    assert (found.status, found.completed_at, found.run_at) == (Status.PENDING, None, None)
    assert (found.retry_count, found.attempts) == (before.retry_count, before.attempts)
    assert totals()["retried"] == 1
    assert claim_one(queue).id == job_id


def test_a_retried_job_goes_behind_those_that_wait_already(queue: JobQueue, clock: Clock) -> None:
    cancelled = job_in(Status.CANCELLED, queue, clock)
    waiting = queue.submit("noop")
    clock.advance(ms=1)
    queue.retry(cancelled)

    assert [job.id for job in queue.claim("w1", 2)] == [waiting, cancelled]


def test_a_poisoned_job_can_be_retried(queue: JobQueue, clock: Clock, find: Find) -> None:
    queue.submit("noop")
    for _ in range(3):
        queue.mark_begun(claim_one(queue))
        let_leases_run_out(queue, clock)
    queue.retry(1)
    queue.complete(claim_one(queue))

    assert find(1).status == Status.SUCCESS


def test_a_retry_that_is_sent_twice_is_one(
    queue: JobQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    job_in(Status.FAILED, queue, clock)
    send_every_call_twice(queue, monkeypatch)
    queue.retry(1)

    assert totals()["retried"] == 1


# ── cancel ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", CANCELLABLE)
def test_a_job_that_waits_is_cancelled_at_once(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals, status: Status
) -> None:
    job_id = job_in(status, queue, clock)
    clock.advance(seconds=3)

    assert queue.cancel(job_id) is True

    found = find(job_id)
    assert (found.status, found.completed_at) == (Status.CANCELLED, clock.now)
    assert found.run_at is None
    assert totals()["cancelled"] == 1
    assert queue.claim("w1", 1) == []


def test_cancelling_a_processing_job_only_asks(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    job_id = job_in(Status.PROCESSING, queue, clock)

    assert queue.cancel(job_id) is False

    found = find(job_id)
    assert (found.status, found.cancel_requested) == (Status.PROCESSING, True)
    assert "cancelled" not in totals()


def test_a_cancel_that_is_sent_twice_is_one(
    queue: JobQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    job_in(Status.PENDING, queue, clock)
    send_every_call_twice(queue, monkeypatch)

    assert queue.cancel(1) is True
    assert totals()["cancelled"] == 1


# ── delete ──────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_job_leaves_nothing(queue: JobQueue, store: redis.Redis, totals: Totals) -> None:
    queue.submit("noop", tags=("acme", "vip"))
    queue.fail(claim_one(queue), "no", retry_in_ms=None)
    queue.delete(1)

    assert [
        key
        for pattern in ("Job_*", "Tag:*", "Index:*", "Picked:*", "Completed:*", "*_queue")
        for key in store.scan_iter(pattern)
    ] == []
    assert totals()["deleted"] == 1


def test_an_id_is_never_given_again(queue: JobQueue) -> None:
    queue.submit("noop")
    queue.delete(1)

    assert queue.submit("noop") == 2


def test_a_delete_that_is_sent_twice_is_one(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    queue.submit("noop")
    send_every_call_twice(queue, monkeypatch)
    queue.delete(1)

    assert totals() == {"submitted": 1, "deleted": 1}
