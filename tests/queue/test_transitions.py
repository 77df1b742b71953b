"""Every verb from every status: what TRANSITIONS allows happens, everything else is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue.errors import LeaseLost, WrongStatus
from app.queue.job import DELETABLE, FINAL, TRANSITIONS, Job, Status
from app.queue.jobqueue import JobQueue
from tests.queue.invariants import check
from tests.queue.steps import cancel_as_worker, job_in, let_leases_run_out
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Try = Callable[[JobQueue, Clock, Job], object]


def claim(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.claim("w2", 1)


def complete(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.complete(job)


def fail(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.fail(job, "refused", retry_in_ms=1_000)


def give_up(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.fail(job, "refused", retry_in_ms=None)


def stop(queue: JobQueue, clock: Clock, job: Job) -> object:
    return cancel_as_worker(queue, job)


def release(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.release(job)


def release_with_delay(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.release(job, delay_ms=1_000)


def release_after_cancel(queue: JobQueue, clock: Clock, job: Job) -> object:
    ask_to_cancel(queue, job)
    return queue.release(job)


def promote(queue: JobQueue, clock: Clock, job: Job) -> object:
    clock.advance(seconds=10)
    return queue.promote()


def reap(queue: JobQueue, clock: Clock, job: Job) -> object:
    return let_leases_run_out(queue, clock)


def reap_poison(queue: JobQueue, clock: Clock, job: Job) -> object:
    for _ in range(2):
        let_leases_run_out(queue, clock)
        if job.status == Status.PROCESSING:
            queue.mark_begun(queue.claim("w2", 1)[0])
    return let_leases_run_out(queue, clock)


def reap_after_cancel(queue: JobQueue, clock: Clock, job: Job) -> object:
    ask_to_cancel(queue, job)
    return let_leases_run_out(queue, clock)


def retry(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.retry(job.id)


def cancel(queue: JobQueue, clock: Clock, job: Job) -> object:
    return queue.cancel(job.id)


def ask_to_cancel(queue: JobQueue, job: Job) -> None:
    if job.status == Status.PROCESSING:
        queue.cancel(job.id)


# verb → each way to try it, and the status it leads to where the verb is allowed.
WAYS: dict[str, list[tuple[Try, Status]]] = {
    "claim": [(claim, Status.PROCESSING)],
    "complete": [(complete, Status.SUCCESS)],
    "fail": [
        (fail, Status.FAILED),
        (give_up, Status.PERMANENTLY_FAILED),
        (stop, Status.CANCELLED),
    ],
    "release": [
        (release, Status.PENDING),
        (release_with_delay, Status.SCHEDULED),
        (release_after_cancel, Status.CANCELLED),
    ],
    "promote": [(promote, Status.PENDING)],
    "reap": [
        (reap, Status.PENDING),
        (reap_poison, Status.PERMANENTLY_FAILED),
        (reap_after_cancel, Status.CANCELLED),
    ],
    "retry": [(retry, Status.PENDING)],
    "cancel": [(cancel, Status.CANCELLED)],
}
MOVES = [
    pytest.param(verb, way, status, target, id=f"{way.__name__}-{status}")
    for verb, ways in WAYS.items()
    for way, target in ways
    for status in Status
]


def test_every_way_of_the_table_is_tried() -> None:
    assert {verb: {target for _, target in ways} for verb, ways in WAYS.items()} == {
        verb: set(targets) for verb, (_, targets) in TRANSITIONS.items()
    }


@pytest.mark.parametrize(("verb", "way", "status", "target"), MOVES)
def test_a_verb_moves_a_job_where_the_table_says_or_nowhere(
    queue: JobQueue, clock: Clock, find: Find, verb: str, way: Try, status: Status, target: Status
) -> None:
    before = find(job_in(status, queue, clock))
    allowed = status in TRANSITIONS[verb][0]
    try:
        way(queue, clock, before)
    except (LeaseLost, WrongStatus):
        assert not allowed
    after = find(before.id)

    if allowed:
        assert after.status == target
    elif verb == "cancel" and status == Status.PROCESSING:
        assert (after.status, after.cancel_requested) == (status, True)
    else:
        assert after == before


@pytest.mark.parametrize("status", Status)
def test_a_job_can_be_deleted_when_no_worker_holds_it(
    queue: JobQueue, clock: Clock, store: redis.Redis, status: Status
) -> None:
    job_id = job_in(status, queue, clock)

    if status in DELETABLE:
        queue.delete(job_id)
        assert check(store) == {}
    else:
        with pytest.raises(WrongStatus):
            queue.delete(job_id)
        assert check(store)[job_id]["status"] == status


@pytest.mark.parametrize("status", Status)
def test_only_finished_jobs_are_trimmed(
    queue: JobQueue, clock: Clock, store: redis.Redis, status: Status
) -> None:
    job_in(status, queue, clock)
    clock.advance(seconds=10)

    trimmed = queue.trim(success_max_age_ms=1, failed_max_age_ms=1)
    assert trimmed == (1 if status in FINAL else 0)
