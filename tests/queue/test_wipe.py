"""Payloads of old successes are wiped; nothing else is."""

from __future__ import annotations

import redis

from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.outcome import completed
from tests.queue.steps import job_in
from tests.queue.virtual_time import Clock


def wiped(store: redis.Redis) -> list[int]:
    payloads: dict[str, str] = store.hgetall("Job_payload")
    return sorted(int(job_id) for job_id, text in payloads.items() if not text)


def succeed(queue: JobQueue, count: int) -> list[int]:
    """All in one millisecond."""
    ids = [queue.submit("noop", {"n": n}) for n in range(count)]
    queue.turn("w1", [completed(job, {"kept": 1}) for job in queue.claim("w1", count=count)], 0)
    return ids


def test_a_payload_goes_when_its_success_is_old_enough(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    [job_id] = succeed(queue, 1)
    clock.advance(ms=999)
    assert queue.wipe_payloads(success_age_ms=1000) == 0

    clock.advance(ms=1)
    assert queue.wipe_payloads(success_age_ms=1000) == 1
    assert wiped(store) == [job_id]
    assert queue.wipe_payloads(success_age_ms=1000) == 0


def test_only_successes_lose_their_payload(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    order = sorted(Status, key=lambda status: status == Status.PENDING)  # it would be claimed
    ids = {status: job_in(status, queue, clock) for status in order}
    clock.advance(seconds=10)

    assert queue.wipe_payloads(success_age_ms=1) == 1
    assert wiped(store) == [ids[Status.SUCCESS]]


def test_a_step_ends_with_a_whole_millisecond(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    first = succeed(queue, 5)
    clock.advance(ms=1)
    second = succeed(queue, 5)
    clock.advance(seconds=1)

    assert queue.wipe_payloads(success_age_ms=1, limit=2) == 5
    assert wiped(store) == first
    assert queue.wipe_payloads(success_age_ms=1, limit=2) == 5
    assert wiped(store) == first + second
    assert queue.wipe_payloads(success_age_ms=1, limit=2) == 0


def test_later_successes_are_found_again(queue: JobQueue, store: redis.Redis, clock: Clock) -> None:
    first = succeed(queue, 1)
    clock.advance(seconds=1)
    queue.wipe_payloads(success_age_ms=1)
    second = succeed(queue, 2)
    clock.advance(seconds=1)

    assert queue.wipe_payloads(success_age_ms=1) == 2
    assert wiped(store) == first + second
