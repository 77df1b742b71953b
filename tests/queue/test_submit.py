"""Submitting: what a new job is, and what an idempotency key promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.errors import IdempotencyConflict, InvalidJob
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob, Submitted, digest_of, pack
from tests.queue.steps import send_every_call_twice
from tests.queue.virtual_time import STARTED_MS, Clock

Find = Callable[[int], Job]
Totals = Callable[[], dict[str, int]]


def outcomes(answers: list[Submitted | IdempotencyConflict]) -> list[tuple[int, str]]:
    """The id, and what became of the submission."""
    return [
        (answer.job_id, "conflict")
        if isinstance(answer, IdempotencyConflict)
        else (answer.job_id, "created" if answer.created else "known")
        for answer in answers
    ]


def test_a_new_job_is_pending_and_has_what_was_submitted(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    job_id = queue.submit("send_email", '{"to": "a@example.org"}', max_retries=7)

    assert find(job_id) == Job(
        id=1,
        job_type="send_email",
        payload='{"to": "a@example.org"}',
        priority=Priority.LOW,
        created_at=clock.now,
        status=Status.PENDING,
        max_retries=7,
    )


@pytest.mark.parametrize("step_ms", [1, -50])
@pytest.mark.parametrize("due", [{}, {"delay_ms": 1500}, {"run_at_ms": STARTED_MS + 7}])
def test_the_answer_holds_the_job_as_it_was_accepted(
    queue: JobQueue, clock: Clock, find: Find, due: dict[str, int], step_ms: int
) -> None:
    queue.submit("noop")
    clock.advance(ms=step_ms)
    new = NewJob("noop", "[1]", Priority.HIGH, max_retries=2, tags=("a", "b"), **due)
    [answer] = queue.submit_many([new])

    assert isinstance(answer, Submitted)
    assert answer.job == find(answer.job_id)


def test_a_job_is_not_created_before_the_one_before_it_when_the_clock_steps_back(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    at = [clock.now] * 3
    queue.submit("noop")
    clock.advance(ms=-50)
    queue.submit("noop")
    clock.advance(ms=49)
    queue.submit("noop")
    clock.advance(ms=2)
    queue.submit("noop")
    at.append(clock.now)

    assert [find(job_id).created_at for job_id in (1, 2, 3, 4)] == at
    assert [job.id for job in queue.claim("w1", 4)] == [1, 2, 3, 4]


def test_a_clock_that_was_far_ahead_is_believed_when_it_is_right_again(
    queue: JobQueue, clock: Clock, find: Find
) -> None:
    clock.advance(seconds=365 * 86_400)
    queue.submit("noop")
    clock.advance(seconds=-365 * 86_400)
    right = clock.now
    queue.submit("noop")
    clock.advance(ms=-50)
    queue.submit("noop")

    assert [find(job_id).created_at for job_id in (2, 3)] == [right, right]


@pytest.mark.parametrize("text", ["many", "", "inf", "nan", "-1"])
def test_a_time_of_creation_that_is_none_is_passed_over(
    queue: JobQueue, store: redis.Redis, clock: Clock, find: Find, text: str
) -> None:
    store.hset("Meta", "created_at", text)

    assert find(queue.submit("noop")).created_at == clock.now


def test_each_submission_raises_the_revision_by_one(queue: JobQueue, store: redis.Redis) -> None:
    seen = []
    for job in (NewJob("noop"), NewJob("noop", idempotency_key="k")):
        queue.submit_many([job, job])
        seen.append(store.hget("Meta", "revision"))
    queue.cancel(1)
    seen.append(store.hget("Meta", "revision"))

    assert seen == ["1", "2", "3"]


def test_ids_count_upwards_from_one(queue: JobQueue) -> None:
    assert [queue.submit("noop") for _ in range(4)] == [1, 2, 3, 4]


def test_an_object_as_payload_is_stored_as_readable_json(queue: JobQueue, find: Find) -> None:
    assert find(queue.submit("noop", {"name": "Zoë"})).payload == '{"name": "Zoë"}'


@pytest.mark.parametrize("priority", Priority)
def test_the_priority_is_kept(queue: JobQueue, find: Find, priority: Priority) -> None:
    assert find(queue.submit("noop", priority=priority)).priority == priority


def test_a_job_with_a_delay_is_scheduled_from_the_servers_now(
    queue: JobQueue, find: Find, clock: Clock
) -> None:
    job = find(queue.submit("noop", delay_ms=1500))

    assert (job.status, job.run_at) == (Status.SCHEDULED, clock.now + 1.5)


def test_a_job_for_a_time_to_come_is_scheduled(queue: JobQueue, find: Find, clock: Clock) -> None:
    job = find(queue.submit("noop", run_at_ms=clock.now_ms + 1))

    assert (job.status, job.run_at) == (Status.SCHEDULED, (clock.now_ms + 1) / 1000)


@pytest.mark.parametrize(
    "due", [{"delay_ms": 0}, {"run_at_ms": 0}, {"run_at_ms": 1_749_999_999_999}]
)
def test_a_job_that_is_due_already_is_pending(
    queue: JobQueue, find: Find, due: dict[str, int]
) -> None:
    job = find(queue.submit("noop", **due))

    assert (job.status, job.run_at) == (Status.PENDING, None)


def test_a_job_is_found_by_its_tags(queue: JobQueue, store: redis.Redis, find: Find) -> None:
    first = queue.submit("noop", tags=("acme", "kunde:Zoë"))
    second = queue.submit("noop", tags=("acme",))

    assert find(first).tags == ("acme", "kunde:Zoë")
    assert store.zrange("Tag:acme", 0, -1) == [str(first), str(second)]
    assert store.zrange("Tag:kunde:Zoë", 0, -1) == [str(first)]


def test_a_tag_given_twice_does_no_harm(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop", tags=("acme", "acme"))

    assert store.zcard("Tag:acme") == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"job_type": ""}, "job_type"),
        ({"job_type": "a:b"}, "job_type"),
        ({"job_type": "x" * 65}, "job_type"),
        ({"job_type": "noop\n"}, "job_type"),
        ({"delay_ms": 1, "run_at_ms": 1}, "run_at"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"run_at_ms": 10**13}, "run_at_ms"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1001}, "max_retries"),
        ({"tags": ("a,b",)}, "tags"),
        ({"tags": ("",)}, "tags"),
        ({"tags": tuple("abcdefghijk")}, "tags"),
        ({"payload": '"\ud800"'}, "payload"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named_and_nothing_is_submitted(
    queue: JobQueue, store: redis.Redis, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidJob) as caught:
        queue.submit_many([NewJob("noop"), NewJob(**{"job_type": "noop", **fields})])

    assert caught.value.field == named
    assert not store.exists("Job_map")


def test_600_jobs_in_one_call_get_600_ids_in_order(queue: JobQueue, totals: Totals) -> None:
    answers = queue.submit_many([NewJob("noop", str(n)) for n in range(600)])

    assert outcomes(answers) == [(n, "created") for n in range(1, 601)]
    assert totals() == {"submitted": 600}


def test_no_jobs_in_one_call_are_no_error(queue: JobQueue) -> None:
    assert queue.submit_many([]) == []


def test_submissions_are_counted_for_their_job_type_and_minute(
    queue: JobQueue, store: redis.Redis, clock: Clock
) -> None:
    queue.submit_many([NewJob("a"), NewJob("b"), NewJob("a")])

    counted = {"submitted:a": "2", "submitted:b": "1"}
    minute_key = f"Stats:{clock.now_ms // 60_000}"
    assert store.hgetall("Stats") == counted
    assert store.hgetall(minute_key) == counted
    assert 0 < store.ttl(minute_key) <= 48 * 3600


# ── Idempotency keys ────────────────────────────────────────────────────────────────────────────


def test_the_same_key_and_content_answers_the_same_job(queue: JobQueue, totals: Totals) -> None:
    job = NewJob("noop", '{"n": 1}', idempotency_key="order 7 ü")

    assert outcomes(queue.submit_many([job])) == [(1, "created")]
    assert outcomes(queue.submit_many([job])) == [(1, "known")]
    assert totals() == {"submitted": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"job_type": "other"},
        {"payload": '{"n": 2}'},
        {"priority": Priority.HIGH},
        {"delay_ms": 5},
        {"run_at_ms": 5},
        {"max_retries": 1},
        {"tags": ("a",)},
    ],
)
def test_the_same_key_with_other_content_is_a_conflict(
    queue: JobQueue, totals: Totals, change: dict[str, Any]
) -> None:
    fields: dict[str, Any] = {"job_type": "noop", "payload": '{"n": 1}', "idempotency_key": "k"}
    job_id = queue.submit(**fields)

    with pytest.raises(IdempotencyConflict, match="belongs to job 1") as caught:
        queue.submit(**{**fields, **change})

    assert caught.value.job_id == job_id
    assert totals() == {"submitted": 1}


def test_a_key_counts_within_one_call_too(queue: JobQueue) -> None:
    same, other = NewJob("noop", "1", idempotency_key="k"), NewJob("noop", "2", idempotency_key="k")

    answers = queue.submit_many([same, same, other, NewJob("noop")])

    expected = [(1, "created"), (1, "known"), (1, "conflict"), (2, "created")]
    assert outcomes(answers) == expected


def test_a_key_still_names_its_job_after_that_was_deleted(queue: JobQueue) -> None:
    job = NewJob("noop", idempotency_key="k")
    queue.submit_many([job])
    queue.delete(1)

    assert outcomes(queue.submit_many([job])) == [(1, "known")]


def test_a_key_lives_for_a_day(queue: JobQueue, store: redis.Redis) -> None:
    queue.submit("noop", idempotency_key="k")

    [key] = store.scan_iter("Idem:*")
    assert 86_390 < store.ttl(key) <= 86_400


def test_a_call_that_fails_half_way_leaves_no_key_that_names_a_later_job(
    queue: JobQueue, store: redis.Redis
) -> None:
    first, broken = (NewJob("noop", n, idempotency_key=n) for n in ("1", "2"))
    digest = digest_of((broken, pack(broken)))
    store.rpush(queue.keys.idempotency(digest), "not a string")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        queue.submit_many([first, broken])

    [later, again] = queue.submit_many([NewJob("noop", "3"), first])

    assert outcomes([later, again])[1] == (again.job_id, "created")
    assert later.job_id != again.job_id
    store.delete(queue.keys.idempotency(digest))


# ── Sent twice ──────────────────────────────────────────────────────────────────────────────────


def test_a_submission_that_is_sent_twice_makes_one_job(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    send_every_call_twice(queue, monkeypatch)

    assert queue.submit("noop") == 1
    assert queue.submit("noop") == 2
    assert totals() == {"submitted": 2}


def test_a_call_that_is_sent_twice_answers_the_same_for_each_of_its_jobs(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_every_call_twice(queue, monkeypatch)
    same, other = NewJob("noop", "1", idempotency_key="k"), NewJob("noop", "2", idempotency_key="k")

    answers = queue.submit_many([same, same, other])

    assert outcomes(answers) == [(1, "created"), (1, "known"), (1, "conflict")]


def test_600_jobs_that_are_sent_twice_are_600_jobs(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch, totals: Totals
) -> None:
    send_every_call_twice(queue, monkeypatch)

    answers = queue.submit_many([NewJob("noop")] * 600)

    assert outcomes(answers) == [(n, "created") for n in range(1, 601)]
    assert totals() == {"submitted": 600}
