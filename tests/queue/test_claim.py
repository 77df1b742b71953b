"""Claiming: which job goes first, and what a worker gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue import outcome
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.invariants import check
from tests.queue.steps import claim_one, let_leases_run_out, send_every_call_twice
from tests.queue.virtual_time import Clock

HIGH, LOW = Priority.HIGH, Priority.LOW
HOUR_SECONDS = 3600

Find = Callable[[int], Job]
MakeQueue = Callable[..., JobQueue]


def claimed_ids(queue: JobQueue, count: int = 100) -> list[int]:
    return [job.id for job in queue.claim("w1", count)]


# ── Order ───────────────────────────────────────────────────────────────────────────────────────


def test_jobs_go_in_the_order_of_their_arrival(queue: JobQueue, clock: Clock) -> None:
    for _ in range(12):
        queue.submit("noop")
        clock.advance(ms=1)

    assert claimed_ids(queue) == list(range(1, 13))


def test_jobs_of_one_millisecond_go_in_the_order_of_their_ids(queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 120)

    assert claimed_ids(queue, 120) == list(range(1, 121))


def test_high_goes_before_low(queue: JobQueue, clock: Clock) -> None:
    low = queue.submit("noop", priority=LOW)
    clock.advance(seconds=HOUR_SECONDS - 1)
    high = queue.submit("noop", priority=HIGH)

    assert claimed_ids(queue) == [high, low]


def test_a_low_job_that_waited_an_hour_longer_goes_before_a_high_one(
    queue: JobQueue, clock: Clock
) -> None:
    low = queue.submit("noop", priority=LOW)
    clock.advance(seconds=HOUR_SECONDS, ms=1)
    high = queue.submit("noop", priority=HIGH)

    assert claimed_ids(queue) == [low, high]


def test_a_stream_of_high_jobs_delays_a_low_one_for_an_hour_at_most(
    queue: JobQueue, clock: Clock
) -> None:
    low = queue.submit("noop", priority=LOW)
    waited_minutes = 0
    queue.submit("noop", priority=HIGH)
    while claimed_ids(queue, 1) != [low]:
        clock.advance(seconds=60)
        waited_minutes += 1
        queue.submit("noop", priority=HIGH)

    assert waited_minutes == 60


def test_a_head_start_of_zero_means_the_order_of_arrival(
    make_queue: MakeQueue, store: redis.Redis, clock: Clock
) -> None:
    queue = make_queue(head_start_ms=0)
    low = queue.submit("noop", priority=LOW)
    clock.advance(ms=1)
    high = queue.submit("noop", priority=HIGH)
    check(store, head_start_ms=0)

    assert claimed_ids(queue) == [low, high]


def test_a_head_start_of_a_week_means_strict_priority_for_a_week(
    make_queue: MakeQueue, clock: Clock
) -> None:
    queue = make_queue(head_start_ms=7 * 24 * 3_600_000)
    low = queue.submit("noop", priority=LOW)
    clock.advance(seconds=6 * 24 * 3600)
    high = queue.submit("noop", priority=HIGH)

    assert claimed_ids(queue) == [high, low]


# ── What is handed out ──────────────────────────────────────────────────────────────────────────


def test_a_claimed_job_is_processing_under_a_lease(
    queue: JobQueue, store: redis.Redis, find: Find, clock: Clock
) -> None:
    job_id = queue.submit("noop", {"n": 1})
    clock.advance(seconds=3)

    job = claim_one(queue, "worker 7")

    assert (job.id, job.status, job.payload) == (job_id, Status.PROCESSING, '{"n": 1}')
    assert (job.worker, job.picked_at, job.attempts) == ("worker 7", clock.now, 1)
    assert job.token
    assert find(job_id) == job
    assert store.zscore("Processing", str(job_id)) == clock.now_ms + 60_000


def test_a_claim_takes_no_more_than_it_asks_for(queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 5)

    assert claimed_ids(queue, 2) == [1, 2]
    assert claimed_ids(queue, 2) == [3, 4]
    assert claimed_ids(queue, 2) == [5]
    assert claimed_ids(queue, 2) == []


def test_a_claim_for_nothing_takes_nothing(queue: JobQueue) -> None:
    queue.submit("noop")

    assert claimed_ids(queue, 0) == []
    assert claimed_ids(queue, 1) == [1]


def test_each_claim_has_a_token_of_its_own(queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 2)
    [first], [second] = queue.claim("w1", 1), queue.claim("w1", 1)

    assert first.token != second.token


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"text": "Zoë 日本語 😀 \u202e"}', id="unicode"),
        pytest.param(
            '{"nul": "\\u0000", "lone": "\\ud800", "pair": "\\ud83d\\ude00"}', id="escapes"
        ),
        pytest.param('{"raw": "a\x00b\x7f\r\n"}', id="control characters"),
        pytest.param(" [1.10, 1e400,\t-0, 12345678901234567890] \n", id="numbers and space"),
        pytest.param("", id="empty"),
        pytest.param('"' + "0123456789abcdef" * 65_536 + '"', id="1 MB"),
    ],
)
def test_the_payload_comes_out_exactly_as_it_went_in(
    queue: JobQueue, find: Find, payload: str
) -> None:
    job_id = queue.submit("noop", payload)

    assert find(job_id).payload == payload
    assert claim_one(queue).payload == payload


def test_jobs_that_are_not_pending_are_not_handed_out(queue: JobQueue) -> None:
    queue.submit("noop", delay_ms=1)
    queue.cancel(queue.submit("noop"))
    queue.submit("noop")
    queue.fail(claim_one(queue), "refused", retry_in_ms=1)
    queue.submit("noop")
    queue.complete(claim_one(queue))
    queue.submit("noop")
    claim_one(queue)

    assert claimed_ids(queue) == []


def test_an_id_without_a_job_is_passed_over(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop")
    store.zadd("Mail_queue", {"77": 1})

    assert claimed_ids(queue) == [1]
    assert store.zcard("Mail_queue") == 0


# ── One call settles and claims ─────────────────────────────────────────────────────────────────


def test_one_turn_settles_what_is_done_and_claims_what_there_is_room_for(queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 5)
    done, refused, unwanted = queue.claim("w1", 3)

    turn = queue.turn(
        "w1",
        [
            outcome.completed(done, {"sent": 1}),
            outcome.failed(refused, "451 later", retry_in_ms=10),
            outcome.released(unwanted),
        ],
        2,
    )

    assert turn.verdicts == ["ok", "ok", "ok"]
    # The job that was given back has kept its rank.
    assert [job.id for job in turn.jobs] == [3, 4]


def test_a_lost_lease_does_not_spoil_the_other_outcomes_of_a_turn(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    queue.submit_many([NewJob("noop")] * 2)
    [lost] = queue.claim("w1", 1)
    let_leases_run_out(queue, clock)
    [again, held] = queue.claim("w2", 2)
    assert again.id == lost.id

    turn = queue.turn("w1", [outcome.completed(lost), outcome.completed(held)], 1)

    assert turn.verdicts == ["lost", "ok"]
    assert find(again.id) == again


# ── Sent twice ──────────────────────────────────────────────────────────────────────────────────


def test_the_same_nonce_gets_the_same_jobs_again(queue: JobQueue, clock: Clock) -> None:
    queue.submit_many([NewJob("noop")] * 4)
    first = queue.claim("w1", 2, nonce="n1")
    clock.advance(seconds=5)

    assert queue.claim("w1", 2, nonce="n1") == first
    assert [job.attempts for job in first] == [1, 1]
    assert claimed_ids(queue) == [3, 4]


def test_the_same_nonce_does_not_get_what_it_no_longer_holds(queue: JobQueue, clock: Clock) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    done, given_back, held = queue.claim("w1", 3, nonce="n1")
    queue.complete(done)
    queue.release(given_back)
    [taken] = queue.claim("w2", 1)
    assert taken.id == given_back.id

    assert queue.claim("w1", 3, nonce="n1") == [held]


def test_a_whole_turn_that_is_sent_twice_settles_and_claims_once(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, find: Find, totals: Callable[[], Any]
) -> None:
    queue.submit_many([NewJob("noop")] * 5)
    done, refused = queue.claim("w1", 2)
    send_every_call_twice(queue, monkeypatch)
    outcomes = [outcome.completed(done), outcome.failed(refused, "no", retry_in_ms=None)]

    turn = queue.turn("w1", outcomes, 2)

    assert turn.verdicts == ["repeat", "repeat"]
    assert [job.id for job in turn.jobs] == [3, 4]
    assert find(refused.id).retry_count == 1
    assert totals() == {"submitted": 5, "succeeded": 1, "failed": 1, "permanently_failed": 1}


def test_a_claim_that_is_sent_again_after_a_pause_gets_the_jobs_it_holds(queue: JobQueue) -> None:
    queue.submit("noop")
    held = queue.claim("w1", 1, nonce="n1")
    queue.pause()

    turn = queue.turn("w1", (), 1, nonce="n1")

    assert (turn.jobs, turn.paused) == (held, True)
