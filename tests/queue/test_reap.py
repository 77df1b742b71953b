"""Reaping: jobs whose worker died go on, and poison is contained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue.answers import Reaping
from app.queue.inspector import Inspector
from app.queue.job import Attempt, Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, let_leases_run_out, send_every_call_twice
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]

DIED = "The lease ran out: the worker died or was cut off."


def test_a_job_whose_lease_ran_out_is_pending_again(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(ms=30_000)
    queue.reap()
    clock.advance(ms=29_999)
    assert queue.reap() == Reaping([], [], held=False)

    clock.advance(ms=1)
    assert queue.reap() == Reaping([job.id], [], held=False)

    found = find(job.id)
    assert (found.status, found.token) == (Status.PENDING, None)
    assert totals() == {"submitted": 1, "died": 1}


def test_a_death_is_counted_apart_from_failed_attempts(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    queue.submit("noop")
    queue.fail(claim_one(queue), "no", retry_in_ms=1)
    clock.advance(ms=1)
    queue.promote()
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    found = find(job.id)
    assert (found.retry_count, found.deaths, found.attempts) == (1, 1, 2)
    assert found.last_error == "no"


def test_a_reaped_job_keeps_its_rank(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    queue.submit("noop")
    rank = store.zscore("Mail_queue", "1")
    claim_one(queue)
    let_leases_run_out(queue, clock)

    assert store.zscore("Mail_queue", "1") == rank


def test_the_third_death_ends_the_job_as_poison(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    for deaths in (1, 2):
        job = claim_one(queue)
        assert job.deaths == deaths - 1
        queue.mark_begun(job)
        assert let_leases_run_out(queue, clock) == Reaping([1], [], held=False)
    queue.mark_begun(claim_one(queue))
    assert let_leases_run_out(queue, clock) == Reaping([], [1], held=False)

    found = find(1)
    assert (found.status, found.completed_at) == (Status.PERMANENTLY_FAILED, clock.now)
    assert found.last_error == "poison: its worker died 3 times"
    assert (found.deaths, found.retry_count) == (3, 0)
    assert totals() == {"submitted": 1, "died": 3, "permanently_failed": 1}
    assert queue.claim("w1", 1) == []


def test_after_its_first_death_a_job_is_charged_only_when_it_was_begun(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    for _ in range(5):
        assert claim_one(queue).deaths <= 1
        assert let_leases_run_out(queue, clock) == Reaping([1], [], held=False)

    assert (find(1).deaths, find(1).attempts, find(1).retry_count) == (1, 5, 0)
    assert totals() == {"submitted": 1, "died": 1, "released": 4}


def test_a_job_that_was_begun_and_given_back_is_not_begun_any_more(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    queue.submit("noop")
    claim_one(queue)
    let_leases_run_out(queue, clock)
    job = claim_one(queue)
    assert queue.mark_begun(job) == "ok"
    queue.release(job)
    claim_one(queue)
    let_leases_run_out(queue, clock)

    assert find(1).deaths == 1


def test_each_death_leaves_a_line_in_the_history(
    queue: JobQueue, store: redis.Redis, source: Callable[[str], str], clock: Clock
) -> None:
    queue.submit("noop")
    started = clock.now
    claim_one(queue, "w1")
    let_leases_run_out(queue, clock)

    assert Inspector(store, source=source).attempts(1) == [
        Attempt(1, started, clock.now, "w1", "died", DIED)
    ]


def test_one_call_reaps_no_more_than_its_limit_and_the_longest_expired_first(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    for _ in range(3):
        claim_one(queue)
        clock.advance(ms=1)
    clock.advance(seconds=60)

    assert queue.reap(limit=2).requeued == [1, 2]
    assert queue.reap(limit=2).requeued == [3]


def test_a_reaped_job_whose_cancel_was_asked_for_is_cancelled(
    queue: JobQueue, find: Find, clock: Clock, totals: Totals
) -> None:
    queue.submit("noop")
    queue.cancel(claim_one(queue).id)

    assert let_leases_run_out(queue, clock) == Reaping([], [], held=False)
    assert (find(1).status, find(1).completed_at) == (Status.CANCELLED, clock.now)
    assert totals() == {"submitted": 1, "died": 1, "cancelled": 1}


def test_reaping_twice_counts_a_death_once(
    queue: JobQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch, find: Find
) -> None:
    queue.submit("noop")
    claim_one(queue)
    send_every_call_twice(queue, monkeypatch)
    clock.advance(seconds=60)
    queue.reap()

    assert find(1).deaths == 1


def test_an_id_without_a_job_is_removed(queue: JobQueue, store: redis.Redis) -> None:
    store.zadd("Processing", {"77": 1})

    assert queue.reap() == Reaping([], [], held=False)
    assert not store.exists("Processing")


# ── The hold after a gap ────────────────────────────────────────────────────────────────────────


def test_after_a_gap_the_reaper_waits_one_lease(queue: JobQueue, clock: Clock, find: Find) -> None:
    queue.submit("noop")
    queue.reap()
    claim_one(queue)
    clock.advance(seconds=600)

    for _ in range(4):
        assert queue.reap() == Reaping([], [], held=True)
        clock.advance(seconds=15)
    assert find(1).status == Status.PROCESSING
    assert queue.reap() == Reaping([1], [], held=False)


def test_a_worker_that_renews_during_the_hold_keeps_its_job(queue: JobQueue, clock: Clock) -> None:
    queue.submit("noop")
    queue.reap()
    job = claim_one(queue)
    clock.advance(seconds=600)
    assert queue.reap().held
    clock.advance(seconds=10)

    assert queue.renew("w1", [job], {}).ok == [job.id]
    for _ in range(4):
        assert queue.reap().requeued == []
        clock.advance(seconds=14)
    assert queue.complete(job) == "ok"


@pytest.mark.parametrize(("gap_ms", "held"), [(30_000, False), (30_001, True), (-1, True)])
def test_a_gap_is_more_than_half_a_lease_or_a_clock_that_went_back(
    queue: JobQueue, clock: Clock, gap_ms: int, held: bool
) -> None:
    queue.reap()
    clock.advance(ms=gap_ms)

    assert queue.reap().held is held


def test_a_clock_that_went_back_by_a_day_does_not_hold_the_reaper_for_a_day(
    queue: JobQueue, clock: Clock
) -> None:
    queue.reap()
    clock.advance(seconds=86_400)
    assert queue.reap().held
    clock.advance(seconds=-86_400)
    queue.submit("noop")
    claim_one(queue)

    assert let_leases_run_out(queue, clock).requeued == [1]


def test_the_first_reaper_ever_does_not_wait(queue: JobQueue, clock: Clock) -> None:
    queue.submit("noop")
    claim_one(queue)
    clock.advance(seconds=60)

    assert queue.reap() == Reaping([1], [], held=False)


def test_two_reapers_do_not_hold_each_other(queue: JobQueue, clock: Clock) -> None:
    queue.submit("noop")
    claim_one(queue)
    for _ in range(8):
        assert not queue.reap().held
        assert not queue.reap().held
        clock.advance(ms=7_500)

    assert queue.reap().requeued == [1]
