"""Whenever the server forgets its scripts, each call is answered, and done once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from app.queue.inspector import Inspector
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.query import JobQuery
from app.queue.submission import NewJob
from app.queue.waiting import MarkerWait
from tests.conftest import RedisServer
from tests.queue.forgetful import connect_forgetful
from tests.queue.invariants import check
from tests.queue.steps import claim_one


@pytest.fixture(
    params=["server", pytest.param("debian_redis", marks=pytest.mark.needs_redis_server)]
)
def url(request: pytest.FixtureRequest) -> str:
    found: RedisServer = request.getfixturevalue(request.param)
    return found.url


@pytest.fixture
def forgetful(url: str) -> Iterator[redis.Redis]:
    client = connect_forgetful(url)
    client.flushall()
    yield client
    check(client)
    client.close()


def test_every_verb_and_every_read_is_answered(forgetful: redis.Redis) -> None:
    queue, inspector = JobQueue(forgetful), Inspector(forgetful)

    job_id = queue.submit("noop")
    job = claim_one(queue)
    assert queue.renew("w1", [job]).ok == [job_id]
    assert queue.complete(job) == "ok"

    assert [job.status for job in inspector.page(JobQuery()).jobs] == [Status.SUCCESS]
    assert inspector.counts()[Status.SUCCESS] == 1


def test_jobs_of_several_steps_are_each_submitted_once(forgetful: redis.Redis) -> None:
    answers = JobQueue(forgetful).submit_many([NewJob("noop")] * 600)

    assert sorted(answer.job_id for answer in answers) == list(range(1, 601))


def test_who_waits_for_a_job_has_it(forgetful: redis.Redis, url: str) -> None:
    queue = JobQueue(forgetful)
    queue.submit("noop")
    client = connect_forgetful(url, resend=False)
    wait = MarkerWait(queue, client, queue.keys.wake, block_seconds=1)

    [job] = wait.claim("w1").jobs

    assert (job.id, job.attempts) == (1, 1)
    wait.close()
    client.close()
