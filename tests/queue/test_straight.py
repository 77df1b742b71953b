"""A job that goes straight to its success is written as text, any other by `cjson`: they must end
as the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from app.queue import outcome as outcomes
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import let_leases_run_out
from tests.queue.virtual_time import Clock

WORKER = 'w "1", \\ "token":"x" ü/\x01'
NEW = NewJob(
    "a.b-c_D", '{"n": 1}', max_retries=7, tags=("a:b", "kunde:Zoë"), request_id='r"1, "status":"'
)

Ending = Callable[[JobQueue, Clock, Job], Any]


def complete(queue: JobQueue, clock: Clock, job: Job) -> None:
    assert queue.complete(job) == "ok"
    assert queue.complete(job) == "repeat"


def complete_with_a_result(queue: JobQueue, clock: Clock, job: Job) -> None:
    queue.complete(job, {"text": 'é "quoted", "status":"processing" \\ \u0000'})


def complete_after_the_point_of_no_return(queue: JobQueue, clock: Clock, job: Job) -> None:
    assert queue.mark_sending(job) == "ok"
    queue.complete(job)


def complete_what_somebody_cancels(queue: JobQueue, clock: Clock, job: Job) -> None:
    queue.cancel(job.id)
    queue.complete(job)


def complete_late(queue: JobQueue, clock: Clock, job: Job) -> None:
    let_leases_run_out(queue, clock)
    assert queue.complete(job) == "late"


def complete_after_a_failure(queue: JobQueue, clock: Clock, job: Job) -> None:
    queue.fail(job, 'no "thanks"', retry_in_ms=1)
    clock.advance(seconds=1)
    queue.promote()
    queue.complete(queue.claim(WORKER)[0])


def complete_and_fail_in_one_turn(queue: JobQueue, clock: Clock, job: Job) -> None:
    both = [outcomes.completed(job), outcomes.failed(job, "no", retry_in_ms=5)]
    assert queue.turn(WORKER, both, 0).verdicts == ["ok", "repeat"]


def fail_and_complete_in_one_turn(queue: JobQueue, clock: Clock, job: Job) -> None:
    both = [outcomes.failed(job, "no", retry_in_ms=5), outcomes.completed(job)]
    assert queue.turn(WORKER, both, 0).verdicts == ["ok", "repeat"]


def give_back_and_claim_in_one_turn(queue: JobQueue, clock: Clock, job: Job) -> None:
    turn = queue.turn(WORKER, [outcomes.released(job)], 1)
    assert [claimed.id for claimed in turn.jobs] == [job.id]
    queue.complete(turn.jobs[0])


ENDINGS = [
    complete,
    complete_with_a_result,
    complete_after_the_point_of_no_return,
    complete_what_somebody_cancels,
    complete_late,
    complete_after_a_failure,
    complete_and_fail_in_one_turn,
    fail_and_complete_in_one_turn,
    give_back_and_claim_in_one_turn,
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_a_record_written_as_text_ends_as_any_other(
    queue: JobQueue, store: redis.Redis, clock: Clock, ending: Ending
) -> None:
    def ends(between: Callable[[], None]) -> dict[str, Any]:
        started_ms = clock.now_ms
        [submitted] = queue.submit_many([NEW])
        between()
        clock.advance(seconds=1)
        [job] = queue.claim(WORKER)
        assert (job.id, job.worker, job.tags) == (submitted.job_id, WORKER, NEW.tags)
        assert (job.max_retries, job.request_id) == (NEW.max_retries, NEW.request_id)
        between()
        clock.advance(seconds=1)
        ending(queue, clock, job)
        record: dict[str, Any] = json.loads(store.hget("Job_map", str(job.id)) or "")
        for name in ("created_at", "picked_at", "completed_at", "run_at", "ready_at"):
            if name in record:
                record[name] -= started_ms
        tokens = (name for name in ("token", "last_token", "reaped_token") if name in record)
        return {"tokens": list(tokens)} | {
            name: value
            for name, value in record.items()
            if name not in ("id", "token", "last_token", "reaped_token")
        }

    def write_as_others_do() -> None:
        for job_id, text in store.hgetall("Job_map").items():
            store.hset("Job_map", job_id, json.dumps(json.loads(text)))

    assert ends(lambda: None) == ends(write_as_others_do)


def test_a_job_that_nobody_claimed_and_one_that_succeeded_are_of_the_short_way(
    queue: JobQueue, store: redis.Redis
) -> None:
    """Otherwise the test above compares `cjson` with itself."""
    for status in (Status.PENDING, Status.PROCESSING, Status.SUCCESS):
        if status == Status.PENDING:
            queue.submit_many([NEW])
        elif status == Status.PROCESSING:
            [job] = queue.claim("w1")
        else:
            queue.complete(job)
        assert f', "status":"{status.value}"' in (store.hget("Job_map", "1") or "")


def test_a_lost_word_about_a_job_does_not_spoil_it_for_who_claims_it_again(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit_many([NEW])
    [job] = queue.turn(WORKER, [], 1, nonce="n").jobs
    stranger = outcomes.completed(replace(job, token="another"))

    turn = queue.turn(WORKER, [stranger], 1, nonce="n")

    assert (turn.verdicts, turn.jobs) == (["lost"], [job])
