"""Rate limits: one job in each interval, whoever asks, and nobody waits twice."""

from __future__ import annotations

import random

import redis

from app.queue.jobqueue import JobQueue
from tests.queue.virtual_time import STARTED_MS, Clock

A = {"a": 50.0}


def passes(queue: JobQueue, clock: Clock, jobs: list[int], limits: dict[str, float]) -> list[int]:
    """When each job is let through, in ms; each asks again exactly when its wait is over."""
    due = [(clock.now_ms, job_id) for job_id in jobs]
    passed, asked = [], 0
    while due:
        due.sort()
        at, job_id = due.pop(0)
        clock.advance(ms=max(0, at - clock.now_ms))
        wait_ms = queue.take(job_id, limits)
        asked += 1
        if wait_ms:
            due.append((clock.now_ms + wait_ms, job_id))
        else:
            passed.append(clock.now_ms - STARTED_MS)
    assert asked <= 2 * len(jobs), "somebody waited twice"
    return passed


def test_one_job_goes_in_each_interval(queue: JobQueue, clock: Clock) -> None:
    assert passes(queue, clock, [1, 2, 3, 4, 5], A) == [0, 50, 100, 150, 200]


def test_a_limit_that_nobody_used_for_long_saves_nothing_up(queue: JobQueue, clock: Clock) -> None:
    assert queue.take(1, A) == 0
    clock.advance(seconds=100)
    assert [queue.take(job_id, A) for job_id in (2, 3, 4)] == [0, 50, 100]


def test_who_waits_is_not_overtaken(queue: JobQueue, clock: Clock) -> None:
    assert [queue.take(job_id, A) for job_id in (1, 2, 3)] == [0, 50, 100]
    clock.advance(ms=50)
    assert queue.take(4, A) == 100
    assert queue.take(2, A) == 0
    clock.advance(ms=50)
    assert queue.take(5, A) == 100
    assert queue.take(3, A) == 0


def test_who_asks_too_early_keeps_its_slot(queue: JobQueue, clock: Clock) -> None:
    queue.take(1, A)
    assert [queue.take(2, A) for _ in range(3)] == [50, 50, 50]
    clock.advance(ms=20)
    assert queue.take(2, A) == 30


def test_limits_do_not_know_each_other(queue: JobQueue) -> None:
    assert [queue.take(job_id, A) for job_id in (1, 2)] == [0, 50]
    assert [queue.take(job_id, {"b": 1000.0}) for job_id in (3, 4)] == [0, 1000]


def test_a_job_with_several_limits_waits_for_all_and_holds_none_back(
    queue: JobQueue, clock: Clock
) -> None:
    assert queue.take(1, {"slow": 10_000.0}) == 0
    assert queue.take(2, A | {"slow": 10_000.0}) == 10_000
    assert [queue.take(job_id, A) for job_id in (3, 4)] == [0, 50]
    clock.advance(seconds=10)
    assert queue.take(2, A | {"slow": 10_000.0}) == 0
    assert queue.take(5, A) == 50
    assert queue.take(6, {"slow": 10_000.0}) == 10_000


def test_a_little_late_moves_nobody(queue: JobQueue, clock: Clock) -> None:
    assert [queue.take(job_id, A) for job_id in (1, 2, 3)] == [0, 50, 100]
    clock.advance(ms=80)
    assert queue.take(2, A) == 0
    clock.advance(ms=20)
    assert queue.take(3, A) == 0


def test_those_who_all_come_very_late_come_one_after_the_other(
    queue: JobQueue, clock: Clock
) -> None:
    waits = [queue.take(job_id, A) for job_id in range(1, 21)]
    assert waits == list(range(0, 1000, 50))
    clock.advance(seconds=3)
    late = [queue.take(job_id, A) for job_id in range(2, 21)]

    # Two at once: the first was late, and the limit had not been used for longer than an interval.
    assert late[:2] == [0, 0]
    assert sorted(late[2:]) == late[2:]
    assert late[2] == 50


def test_a_slot_that_is_not_used_lapses(queue: JobQueue, clock: Clock, store: redis.Redis) -> None:
    """As when its job was cancelled."""
    assert [queue.take(job_id, A) for job_id in (1, 2, 3)] == [0, 50, 100]
    clock.advance(seconds=6)
    assert [queue.take(job_id, A) for job_id in (4, 5)] == [0, 50]
    clock.advance(seconds=3601)
    assert [queue.take(job_id, A) for job_id in (6, 7)] == [0, 50]

    assert store.zrange("Rate:a", 0, -1) == ["7"]
    assert 0 < store.pttl("Rate:a") <= 3_600_050
    assert 0 < store.pttl("Rate:next:a") <= 60_050


def test_a_job_that_went_needs_another_slot_the_next_time(queue: JobQueue, clock: Clock) -> None:
    assert [queue.take(1, A), queue.take(2, A)] == [0, 50]
    clock.advance(ms=50)
    assert [queue.take(2, A), queue.take(2, A)] == [0, 50]


def test_fast_limits_keep_fractions_of_a_millisecond(queue: JobQueue, clock: Clock) -> None:
    passed = passes(queue, clock, list(range(1, 101)), {"a": 0.4})

    assert 38 <= passed[-1] <= 42


def test_the_bound_holds_over_every_window_however_late_jobs_come(
    queue: JobQueue, clock: Clock
) -> None:
    """Of a rate of 20/s: at most 20 a second, and two more for a late one."""
    rng = random.Random(3)
    due = [(clock.now_ms + rng.randrange(2000), job_id) for job_id in range(1, 201)]
    passed = []
    while due:
        due.sort()
        at, job_id = due.pop(0)
        clock.advance(ms=max(0, at - clock.now_ms))
        if wait_ms := queue.take(job_id, A):
            late_ms = rng.choice([0, 1, 5, 20, 49, 200, 3000])
            due.append((clock.now_ms + wait_ms + late_ms, job_id))
        else:
            passed.append(clock.now_ms)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= (passed[last] - passed[first]) / 50 + 2
