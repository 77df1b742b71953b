"""Renewing leases, and the worker's presence that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from app.queue.answers import Renewal
from app.queue.inspector import Inspector
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock

Find = Callable[[int], Job]


def test_a_renewal_extends_the_lease_from_now(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=15)

    assert queue.renew("w1", [job], {}).ok == [job.id]
    assert store.zscore("Processing", "1") == clock.now_ms + 60_000


def test_a_job_that_is_renewed_is_never_reaped(queue: JobQueue, clock: Clock) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    for _ in range(20):
        clock.advance(seconds=15)
        assert queue.renew("w1", [job], {}).ok == [job.id]
        assert queue.reap().requeued == []

    assert queue.complete(job) == "ok"


def test_each_job_gets_an_answer_of_its_own(queue: JobQueue, clock: Clock) -> None:
    queue.submit_many([NewJob("noop")] * 4)
    held, unwanted, done, stolen = queue.claim("w1", 4)
    queue.cancel(unwanted.id)
    queue.complete(done)

    renewal = queue.renew("w1", [held, unwanted, done, replace(stolen, token="x")], {})

    assert renewal.ok == [held.id]
    assert renewal.cancel == [unwanted.id]
    assert renewal.lost == [done.id, stolen.id]


def test_a_job_whose_cancel_was_asked_for_keeps_its_lease(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)
    clock.advance(seconds=15)
    queue.renew("w1", [job], {})

    assert store.zscore("Processing", "1") == clock.now_ms + 60_000


def test_a_lease_that_ran_out_but_was_not_reaped_can_be_renewed(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    clock.advance(seconds=600)

    assert queue.renew("w1", [job], {}).ok == [job.id]
    assert queue.reap().requeued == []


def test_a_reaped_lease_cannot_be_renewed(queue: JobQueue, clock: Clock, find: Find) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    let_leases_run_out(queue, clock)

    assert queue.renew("w1", [job], {}, sending=True).lost == [job.id]
    held = claim_one(queue, "w2")
    assert queue.renew("w1", [job], {}, sending=True).lost == [job.id]
    assert find(job.id) == held


@pytest.mark.parametrize("end", ["release", "reap"])
def test_the_mark_sending_belongs_to_one_attempt(
    queue: JobQueue, find: Find, clock: Clock, end: str
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.renew("w1", [job], {})
    assert not find(job.id).sending
    queue.renew("w1", [job], {}, sending=True)
    assert find(job.id).sending

    if end == "release":
        queue.release(job)
    else:
        let_leases_run_out(queue, clock)

    # Of who told how it ended, the outcome says it; who was reaped may have sent.
    assert find(job.id).sending is (end == "reap")
    again = claim_one(queue)
    assert (again.sending, again.unconfirmed) == (False, end == "reap")


def test_a_job_to_be_cancelled_does_not_pass_the_point_of_no_return(
    queue: JobQueue, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    queue.cancel(job.id)

    assert queue.renew("w1", [job], {}, sending=True).cancel == [job.id]
    assert not find(job.id).sending


def test_a_worker_is_listed_while_it_renews(
    queue: JobQueue, store: redis.Redis, source: Callable[[str], str], clock: Clock
) -> None:
    queue.renew("w1", [], {"pid": 7})
    clock.advance(seconds=1)
    queue.renew("w2", [], {"pid": 8})

    listed = store.zrange("Workers", 0, -1, withscores=True)
    assert listed == [("w1", clock.now_ms - 1000), ("w2", clock.now_ms)]
    assert store.get("Worker:w1") == '{"pid": 7}'
    assert 890 < store.ttl("Worker:w1") <= 900


def test_a_worker_that_leaves_is_off_the_list(queue: JobQueue, store: redis.Redis) -> None:
    queue.renew("w1", [], {"pid": 7})
    queue.renew("w2", [], {"pid": 8})
    queue.renew("w1", [], None)

    assert store.zrange("Workers", 0, -1) == ["w2"]
    assert not store.exists("Worker:w1")


def test_a_worker_that_was_silent_for_a_quarter_of_an_hour_is_off_the_list(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.renew("w1", [], {})
    clock.advance(seconds=901)
    queue.renew("w2", [], {})

    assert store.zrange("Workers", 0, -1) == ["w2"]


def test_the_list_of_workers_is_what_people_read(client: redis.Redis) -> None:
    queue = JobQueue(client)
    queue.renew("w1", [], {"pid": 7, "role": "main"})

    [worker] = Inspector(client).workers()
    assert (worker.name, worker.details) == ("w1", {"pid": 7, "role": "main"})


def test_a_renewal_says_whether_work_waits(queue: JobQueue) -> None:
    assert not queue.renew("w1", [], {}).work_waits
    queue.submit("noop", delay_ms=1000)
    assert not queue.renew("w1", [], {}).work_waits
    queue.submit("noop")
    assert queue.renew("w1", [], {}).work_waits
    queue.pause()
    assert not queue.renew("w1", [], {}).work_waits
    queue.resume()
    claim_one(queue)
    assert not queue.renew("w1", [], {}).work_waits


@pytest.mark.parametrize(("lease_ms", "bound_ms"), [(60_000, 10_000), (2_000, 500)])
def test_housekeeping_is_due_when_nobody_promoted_for_ten_seconds_or_a_quarter_of_a_lease(
    make_queue: Callable[..., JobQueue], clock: Clock, lease_ms: int, bound_ms: int
) -> None:
    queue = make_queue(lease_ms=lease_ms)
    assert queue.renew("w1", [], {}).housekeeping_due
    assert queue.turn("w1", (), 0).housekeeping_due

    queue.promote()
    clock.advance(ms=bound_ms)
    assert not queue.renew("w1", [], {}).housekeeping_due
    assert not queue.turn("w1", (), 0).housekeeping_due

    clock.advance(ms=1)
    assert queue.renew("w1", [], {}).housekeeping_due
    assert queue.turn("w1", (), 0).housekeeping_due


def test_a_renewal_of_nothing_is_no_error(queue: JobQueue) -> None:
    queue.promote()

    assert queue.renew("w1", [], {}) == Renewal()


def test_renewing_is_no_change_that_people_would_see(
    queue: JobQueue, store: redis.Redis, find: Find
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    revision = store.hget("Meta", "revision")
    queue.renew("w1", [job], {})

    assert store.hget("Meta", "revision") == revision
    assert find(job.id).status == Status.PROCESSING
