"""The markers that wake idle workers: set when there is something to do, and one at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from app.queue import outcome
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock


@pytest.fixture
def woken(store: redis.Redis) -> Callable[[], set[str]]:
    """Who would be woken now; the markers are taken, as blocked workers take them."""

    def take() -> set[str]:
        names = {"Wake": "worker", "Wake:due": "retry worker"}
        return {who for key, who in names.items() if store.zpopmin(key)}

    return take


Woken = Callable[[], set[str]]


def test_a_new_job_wakes_a_worker(queue: JobQueue, woken: Woken) -> None:
    queue.submit("noop")

    assert woken() == {"worker"}
    assert woken() == set()


def test_many_new_jobs_leave_one_marker(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit_many([NewJob("noop")] * 300)

    assert store.zrange("Wake", 0, -1) == ["1"]


def test_workers_wake_each_other_while_there_is_more_to_do(queue: JobQueue, woken: Woken) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    woken()

    assert len(queue.claim("w1", 1)) == 1
    assert woken() == {"worker"}
    assert len(queue.claim("w2", 2)) == 2
    assert woken() == set()
    assert queue.claim("w3", 2) == []
    assert woken() == set()


def test_a_job_that_is_due_before_all_others_wakes_the_retry_worker(
    queue: JobQueue, woken: Woken
) -> None:
    queue.submit("noop", delay_ms=5_000)
    assert woken() == {"retry worker"}
    queue.submit("noop", delay_ms=5_001)
    assert woken() == set()
    queue.submit("noop", delay_ms=4_999)
    assert woken() == {"retry worker"}


def test_a_retry_that_is_due_before_all_others_wakes_the_retry_worker(
    queue: JobQueue, woken: Woken
) -> None:
    queue.submit_many([NewJob("noop")] * 2)
    first, second = queue.claim("w1", 2)
    woken()
    queue.fail(first, "no", retry_in_ms=5_000)
    assert woken() == {"retry worker"}
    queue.fail(second, "no", retry_in_ms=6_000)
    assert woken() == set()


def test_whatever_makes_a_job_pending_wakes_a_worker(
    queue: JobQueue, woken: Woken, clock: Clock
) -> None:
    queue.submit("noop", delay_ms=1)
    woken()
    clock.advance(ms=1)
    queue.promote()
    assert woken() == {"worker"}, "promote"

    queue.release(claim_one(queue))
    assert woken() == {"worker"}, "release"

    queue.fail(claim_one(queue), "no", retry_in_ms=None)
    woken()
    queue.retry(1)
    assert woken() == {"worker"}, "retry"

    claim_one(queue)
    woken()
    let_leases_run_out(queue, clock)
    assert woken() == {"worker"}, "reap"

    queue.pause()
    assert woken() == set(), "pause"
    queue.resume()
    assert woken() == {"worker"}, "resume"


def test_nothing_to_do_wakes_nobody(queue: JobQueue, woken: Woken, clock: Clock) -> None:
    queue.promote()
    queue.reap()
    queue.trim(max_jobs=1)
    queue.claim("w1", 5)
    queue.renew("w1", [], {})
    assert woken() == set()

    queue.submit("noop")
    job = claim_one(queue)
    woken()
    queue.turn("w1", [outcome.completed(job)], 1)
    assert woken() == set()


@pytest.mark.parametrize("name", ["wake", "wake_due"])
def test_a_marker_that_was_taken_in_vain_can_be_put_back(
    queue: JobQueue, store: redis.Redis, name: str
) -> None:
    key = getattr(queue.keys, name)
    queue.wake(key)

    assert store.zrange(key, 0, -1) == ["1"]
