"""The API on a queue of four shards: while others are added, and while one is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.queue import sharded_submission
from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.queue.growth import grow
from app.queue.jobqueue import JobQueue
from app.queue.opening import Store
from tests.api.conftest import source_for_fakeredis
from tests.queue.test_growth import StopsAfter

SHARDS = 4


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, queue_shards=SHARDS)


def submit(http: FlaskClient, key: str | None = None) -> int:
    body = {"job_type": "web_noop", "payload": {}, "priority": "low"}
    headers = {"Idempotency-Key": key} if key else {}
    response = http.post("/api/process_query", json=body, headers=headers)
    assert response.status_code == 200, response.json
    query_id: int = response.get_json()["query_id"]
    return query_id


@pytest.fixture
def others(config: Config, fake_client: redis.Redis) -> Iterator[Store]:
    """Another process's view of the store."""
    yield Store(config, name="tests", client=fake_client, source=source_for_fakeredis)


def test_jobs_of_all_shards_are_taken_in_listed_and_found(http: FlaskClient) -> None:
    ids = [submit(http) for _ in range(8)]

    assert {job_id % SHARDS for job_id in ids} == set(range(SHARDS))
    listed = http.get("/api/tasks").get_json()
    assert [job["id"] for job in listed["tasks"]] == sorted(ids, reverse=True)
    for job_id in ids:
        assert http.get(f"/api/job/status/{job_id}").status_code == 200
        assert http.post(f"/api/job/{job_id}/cancel").status_code == 200
    assert http.get("/api/stats").get_json()["data"]["counts"]["cancelled"] == 8


def test_a_process_follows_when_another_adds_shards(
    http: FlaskClient, app: Flask, others: Store
) -> None:
    first = submit(http, "k")
    others.queue.ensure_schema()
    grow(others.queue.shards, 8)
    new = _in_shard(others.queue, 7)
    app.extensions["queue"].follow(older_than_seconds=0)

    assert http.get(f"/api/job/status/{new}").status_code == 200
    assert submit(http, "k") == first
    assert {submit(http) % 8 for _ in range(8)} == set(range(8))


def test_a_copy_that_is_started_with_too_many_shards_says_what_to_do(
    config: Config, fake_client: redis.Redis, http: FlaskClient
) -> None:
    submit(http)
    other = create_app(
        replace(config, queue_shards=8), client=fake_client, source=source_for_fakeredis
    )

    response = other.test_client().get("/api/tasks")

    assert response.status_code == 503
    with pytest.raises(Exception, match="flask queue shards 8"):
        other.extensions["queue"].ensure_schema()


def test_while_a_shard_is_away_the_others_take_jobs_in(
    http: FlaskClient, app: Flask, closed_redis: str
) -> None:
    queue = app.extensions["queue"]
    queue.renew("worker-1", [], {"role": "main"})
    submit(http)
    gone = connect(closed_redis, name="tests")
    queue.shards._queues[2] = JobQueue(gone, prefix="{mr2}")

    answers = [
        http.post("/api/process_query", json={"job_type": "web_noop", "payload": {}})
        for _ in range(12)
    ]

    assert sorted({answer.status_code for answer in answers}) == [200, 503]
    assert [answer.status_code for answer in answers].count(503) == 1
    ready = http.get("/readyz")
    assert ready.status_code == 200
    [warning] = ready.get_json()["warnings"]
    assert warning.startswith("Shard 2 is away")


def test_what_some_shards_took_is_answered_although_another_is_away(
    http: FlaskClient, app: Flask, closed_redis: str
) -> None:
    submit(http)
    queue = app.extensions["queue"]
    queue.shards._queues[2] = JobQueue(connect(closed_redis, name="tests"), prefix="{mr2}")
    jobs = [{"job_type": "web_noop", "priority": "low", "payload": {}}] * 40

    first, again = (
        http.post("/api/jobs/batch", json={"jobs": jobs}, headers={"Idempotency-Key": "k"}).json
        for _ in range(2)
    )

    assert first and again

    assert 0 < first["accepted"] < 40
    assert first["accepted"] + first["rejected"] == 40
    assert all("errors" in one for one in first["results"] if one["query_id"] is None)
    assert again["results"] == first["results"]


def test_shards_that_were_not_all_added_are_told(
    http: FlaskClient, app: Flask, fake_client: redis.Redis
) -> None:
    app.extensions["queue"].renew("worker-1", [], {"role": "main"})
    submit(http)
    fake_client.hset("{mr3}Meta", "era", "40004:8")

    ready = http.get("/readyz")

    assert ready.status_code == 503
    assert "flask queue shards" in ready.get_json()["reasons"][0]


def test_while_shards_are_being_added_a_job_that_must_wait_is_503_and_the_others_are_taken_in(
    http: FlaskClient, others: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", 0.05)
    submit(http)
    others.queue.ensure_schema()
    with monkeypatch.context() as patched:
        StopsAfter(patched, 7)  # all but home
        with pytest.raises(QueueUnavailable):
            grow(others.queue.shards, 8)

    job = {"job_type": "web_noop", "payload": {}}
    batch = http.post(
        "/api/jobs/batch", json={"jobs": [job] * 400}, headers={"Idempotency-Key": "k"}
    ).get_json()
    answers = [
        http.post("/api/process_query", json=job, headers={"Idempotency-Key": f"k{n}"})
        for n in range(8)
    ]

    assert 0 < batch["accepted"] < 400
    taken = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(taken) + len(refused) == 8
    assert {answer.headers["Retry-After"] for answer in refused} == {"2"}
    stored = sum(others.inspector().counts().values())
    assert stored == 1 + batch["accepted"] + len(taken)


def _in_shard(queue: JobQueue, number: int) -> int:
    """The id of a new job of that shard."""
    while (job_id := queue.submit("web_noop")) % 8 != number:
        pass
    return job_id
