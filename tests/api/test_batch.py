from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import SUBMIT_MAX
from app.queue.sharded_jobqueue import ShardedJobQueue

URL = "/api/jobs/batch"
GOOD = {"job_type": "web_noop", "payload": {}}


def test_each_job_is_answered_in_its_place(http: FlaskClient) -> None:
    bad = GOOD | {"priority": "urgent"}
    response = http.post(URL, json={"jobs": [GOOD, bad, None, GOOD]})

    assert response.status_code == 200
    assert response.json == {
        "message": "Query processed successfully",
        "accepted": 2,
        "rejected": 2,
        "results": [
            {"query_id": 1},
            {"query_id": None, "errors": {"priority": ["Must be one of: high, low."]}},
            {"query_id": None, "errors": {"job": ["Must be a JSON object."]}},
            {"query_id": 2},
        ],
    }


def test_a_thousand_jobs_are_one_batch(http: FlaskClient) -> None:
    response = http.post(URL, json={"jobs": [GOOD] * 1000})

    assert response.json["accepted"] == 1000
    assert [result["query_id"] for result in response.json["results"]] == list(range(1, 1001))


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"jobs": []}, {"jobs": ["Must have 1 to 1000 jobs."]}),
        ({"jobs": [GOOD] * 1001}, {"jobs": ["Must have 1 to 1000 jobs."]}),
        ({"jobs": GOOD}, {"jobs": ["Not a valid list."]}),
        ({}, {"jobs": ["Missing data for required field."]}),
        ({"jobs": [GOOD], "dry": True}, {"dry": ["Unknown field."]}),
    ],
)
def test_an_unusable_batch_is_refused_as_a_whole(
    http: FlaskClient, body: dict[str, Any], errors: dict[str, Any]
) -> None:
    response = http.post(URL, json=body)

    assert (response.status_code, response.json["errors"]) == (422, errors)
    assert http.get("/api/tasks").json["total_tasks"] == 0


def test_a_batch_sent_twice_with_its_idempotency_key_is_taken_once(http: FlaskClient) -> None:
    headers = {"Idempotency-Key": "k" * 255}
    first = http.post(URL, json={"jobs": [GOOD, GOOD]}, headers=headers)
    second = http.post(URL, json={"jobs": [GOOD, GOOD]}, headers=headers)
    other = http.post(URL, json={"jobs": [GOOD, GOOD | {"tags": ["x"]}, GOOD]}, headers=headers)

    assert second.json == first.json
    assert [result["query_id"] for result in other.json["results"]] == [1, None, 3]
    assert list(other.json["results"][1]["errors"]) == ["Idempotency-Key"]
    assert http.get("/api/tasks").json["total_tasks"] == 3


def test_a_job_too_large_for_a_batch_stops_no_other(http: FlaskClient) -> None:
    large = GOOD | {"payload": {"text": "x" * 1024 * 1024}}

    response = http.post(URL, json={"jobs": [large, GOOD]})

    assert [result["query_id"] for result in response.json["results"]] == [None, 1]
    assert list(response.json["results"][0]["errors"]) == ["payload"]


def test_what_was_taken_before_redis_went_away_is_answered(
    app: Flask, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: ShardedJobQueue = app.extensions["queue"]
    steps = iter([queue.shards.home.submit_step])

    def until_redis_goes_away(*args: Any) -> Any:
        step = next(steps, None)
        if step is None:
            raise QueueUnavailable("Redis is away")
        return step(*args)

    monkeypatch.setattr(queue.shards.home, "submit_step", until_redis_goes_away)

    response = http.post(URL, json={"jobs": [GOOD] * (SUBMIT_MAX + 2)})

    assert response.status_code == 200
    assert (response.json["accepted"], response.json["rejected"]) == (SUBMIT_MAX, 2)
    assert list(response.json["results"][-1]["errors"]) == ["queue"]
