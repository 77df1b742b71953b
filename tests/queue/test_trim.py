"""Retention: finished jobs go by age and by count, oldest first, and nothing else goes."""

from __future__ import annotations

from collections.abc import Callable

import redis

from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, job_in, let_leases_run_out
from tests.queue.virtual_time import Clock

FINAL = (Status.SUCCESS, Status.PERMANENTLY_FAILED, Status.CANCELLED)
ALL_AT_ONCE = {"success_max_age_ms": 1, "failed_max_age_ms": 1, "max_jobs": 1}

Totals = Callable[[], dict[str, int]]


def stored_ids(store: redis.Redis) -> list[int]:
    return sorted(map(int, store.hkeys("Job_map")))


def one_of_each_final_status(queue: JobQueue, clock: Clock) -> None:
    for status in FINAL:
        job_in(status, queue, clock)


def test_without_bounds_nothing_goes(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    one_of_each_final_status(queue, clock)
    clock.advance(seconds=10**8)

    assert queue.trim() == 0
    assert stored_ids(store) == [1, 2, 3]


def test_a_success_goes_when_it_is_older_than_wanted(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    one_of_each_final_status(queue, clock)
    clock.advance(ms=999)
    assert queue.trim(success_max_age_ms=1000) == 0

    clock.advance(ms=1)
    assert queue.trim(success_max_age_ms=1000) == 1
    assert stored_ids(store) == [2, 3]


def test_other_final_jobs_have_an_age_of_their_own(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    one_of_each_final_status(queue, clock)
    clock.advance(ms=1000)

    assert queue.trim(success_max_age_ms=5000, failed_max_age_ms=1000) == 2
    assert stored_ids(store) == [1]


def test_the_age_counts_from_the_end_of_the_job(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit("noop")
    clock.advance(seconds=100)
    queue.complete(claim_one(queue))
    clock.advance(ms=999)

    assert queue.trim(success_max_age_ms=1000) == 0


def test_jobs_that_are_not_finished_never_go(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    for status in (Status.PROCESSING, Status.FAILED, Status.SCHEDULED, Status.PENDING):
        job_in(status, queue, clock)
    clock.advance(seconds=10**8)

    assert queue.trim(**ALL_AT_ONCE) == 0
    assert stored_ids(store) == [1, 2, 3, 4]


def test_by_count_the_oldest_go_over_all_kinds(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    for n in range(12):
        job_in(FINAL[n % 3], queue, clock, priority=list(Priority)[n % 2])
        clock.advance(ms=7)

    assert queue.trim(max_jobs=5) == 7
    assert stored_ids(store) == [8, 9, 10, 11, 12]
    assert queue.trim(max_jobs=5) == 0


def test_by_count_jobs_of_one_instant_go_as_many_as_are_too_many(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    for n in range(10):
        job_in(FINAL[n % 3], queue, clock)

    assert queue.trim(max_jobs=4, limit=3) == 3
    assert queue.trim(max_jobs=4, limit=3) == 3
    assert queue.trim(max_jobs=4, limit=3) == 0
    assert len(stored_ids(store)) == 4


def test_waiting_jobs_do_not_count(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    job_in(Status.SUCCESS, queue, clock)
    queue.submit_many([NewJob("noop")] * 5)

    assert queue.trim(max_jobs=1) == 0


def test_one_call_forgets_no_more_than_its_limit(
    queue: JobQueue, store: redis.Redis, clock: Clock, totals: Totals
) -> None:
    for n in range(7):
        job_in(FINAL[n % 3], queue, clock)
    clock.advance(seconds=1)

    forgotten = []
    while not forgotten or forgotten[-1] == 3:
        forgotten.append(queue.trim(success_max_age_ms=1, failed_max_age_ms=1, limit=3))
    assert forgotten == [3, 3, 1]
    assert totals()["trimmed"] == 7


def test_age_and_count_bound_together(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    for status in (Status.CANCELLED, Status.CANCELLED, Status.SUCCESS, Status.SUCCESS):
        job_in(status, queue, clock)
        clock.advance(seconds=1)
    for _ in range(4):
        job_in(Status.CANCELLED, queue, clock)

    # Both successes are too old; of the six others, three are too many, the two oldest first.
    assert queue.trim(success_max_age_ms=1000, max_jobs=3, limit=100) == 5
    assert stored_ids(store) == [6, 7, 8]


def test_nothing_is_left_of_a_trimmed_job(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    job_in(Status.PERMANENTLY_FAILED, queue, clock, tags=("acme",))
    clock.advance(seconds=1)
    queue.trim(failed_max_age_ms=1)
    queue.trim(failed_max_age_ms=1)

    for pattern in ("Job_*", "Tag:*", "Index:*", "Picked:*", "Completed:*", "Buckets"):
        assert list(store.scan_iter(pattern)) == []


def test_a_bucket_that_was_empty_is_known_again_when_a_job_enters(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit("noop")
    queue.complete(claim_one(queue))
    queue.trim(max_jobs=5)
    assert store.smembers("Buckets") == {"success:noop:low:1"}

    queue.submit("noop")
    assert store.smembers("Buckets") == {"success:noop:low:1", "pending:noop:low:0"}


def test_a_trim_that_is_sent_twice_forgets_no_job_that_should_stay(
    queue: JobQueue, store: redis.Redis, clock: Clock, totals: Totals
) -> None:
    for _ in range(6):
        job_in(Status.SUCCESS, queue, clock)
        clock.advance(ms=1)
    queue.trim(max_jobs=3)
    queue.trim(max_jobs=3)

    assert stored_ids(store) == [4, 5, 6]
    assert totals()["trimmed"] == 3


def test_a_worker_that_comes_back_after_its_job_was_trimmed_is_told_so(
    queue: JobQueue, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)
    queue.cancel(job.id)
    queue.trim(failed_max_age_ms=1)
    clock.advance(ms=1)
    queue.trim(failed_max_age_ms=1)

    assert queue.renew("w1", [job], {}).lost == [job.id]


def test_given_up_jobs_that_go_are_counted_apart(
    queue: JobQueue, clock: Clock, totals: Totals
) -> None:
    one_of_each_final_status(queue, clock)
    clock.advance(seconds=10)

    assert queue.trim(**ALL_AT_ONCE) == 3
    assert totals()["trimmed"] == 3
    assert totals()["trimmed_permanently_failed"] == 1
