from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import JobQueue

URL = "/api/process_query"
TEN = [
    "id",
    "job_type",
    "payload",
    "priority",
    "created_at",
    "picked_at",
    "completed_at",
    "status",
    "retry_count",
    "last_error",
]


def job(**fields: Any) -> dict[str, Any]:
    return {"job_type": "web_noop", "payload": {}} | fields


def test_a_submission_answers_the_job_with_the_ten_attributes_first(http: FlaskClient) -> None:
    response = http.post(URL, json=job(priority="high", payload='{"to": "user@example.com"}'))

    answer = response.json
    assert response.status_code == 200
    assert list(answer) == ["message", "query_id", "data"]
    assert (answer["message"], answer["query_id"]) == ("Query processed successfully", 1)
    data = answer["data"]
    assert list(data)[:10] == TEN
    assert isinstance(data.pop("created_at"), float)
    assert data.pop("request_id") == response.headers["X-Request-ID"]
    assert data == {
        "id": 1,
        "job_type": "web_noop",
        "payload": '{"to": "user@example.com"}',
        "priority": "high",
        "picked_at": None,
        "completed_at": None,
        "status": "pending",
        "retry_count": 0,
        "last_error": None,
        "run_at": None,
        "max_retries": 3,
        "tags": [],
        "worker": None,
        "result": None,
        "attempts": 0,
        "deaths": 0,
        "cancel_requested": False,
        "sending": False,
        "unconfirmed": False,
    }


def test_the_status_of_a_job_is_what_its_submission_answered(http: FlaskClient) -> None:
    data = http.post(URL, json=job(tags=["invoice", "müller"])).json["data"]

    response = http.get("/api/job/status/1")

    assert response.status_code == 200
    assert response.json == {
        "message": "Job logs retrieved successfully",
        "query_id": 1,
        "data": data,
    }


@pytest.mark.parametrize(
    "text",
    ["{}", ' {"b" :1,\n"a":[ 1.50, 1e2 ]} ', '{"ü": "\\u00fc", "x": "\\u0000"}', '{"n": 1e-7}'],
)
def test_a_payload_given_as_text_is_kept_to_the_character(http: FlaskClient, text: str) -> None:
    assert http.post(URL, json=job(payload=text)).json["data"]["payload"] == text


def test_a_payload_given_as_object_is_stored_as_its_text_in_its_order(http: FlaskClient) -> None:
    payload = {"to": "ä@example.com", "a": [1, 2.5, None, True], "A": {}}

    # Flask's test client would sort the names.
    body = json.dumps(job(payload=payload))
    response = http.post(URL, data=body, content_type="application/json")

    assert (
        response.json["data"]["payload"]
        == '{"to": "ä@example.com", "a": [1, 2.5, null, true], "A": {}}'
    )


def test_priority_is_low_unless_asked(http: FlaskClient) -> None:
    assert http.post(URL, json=job()).json["data"]["priority"] == "low"


def test_max_retries_is_the_job_types_own_unless_asked(http: FlaskClient) -> None:
    greet = job(job_type="web_greet", payload={"name": "Ada"})

    assert http.post(URL, json=greet).json["data"]["max_retries"] == 7
    assert http.post(URL, json=greet | {"max_retries": 0}).json["data"]["max_retries"] == 0


def test_a_delayed_job_is_scheduled(http: FlaskClient) -> None:
    data = http.post(URL, json=job(delay_seconds=1.5)).json["data"]

    assert data["status"] == "scheduled"
    assert data["run_at"] == pytest.approx(data["created_at"] + 1.5, abs=0.002)


@pytest.mark.parametrize(
    "run_at", [4_000_000_000.25, "2096-10-02T07:06:40.250Z", "2096-10-02T09:06:40.25+02:00"]
)
def test_run_at_is_seconds_or_iso_8601(http: FlaskClient, run_at: Any) -> None:
    data = http.post(URL, json=job(run_at=run_at)).json["data"]

    assert (data["status"], data["run_at"]) == ("scheduled", 4_000_000_000.25)


@pytest.mark.parametrize("run_at", [0, 1_000_000_000, "1970-01-01T00:00:00+14:00"])
def test_a_job_whose_time_has_passed_is_pending(http: FlaskClient, run_at: Any) -> None:
    assert http.post(URL, json=job(run_at=run_at)).json["data"]["status"] == "pending"


def test_tags_are_kept_once_and_in_order(http: FlaskClient) -> None:
    data = http.post(URL, json=job(tags=["b", "a:1", "b", "c@d.e+f-g"])).json["data"]

    assert data["tags"] == ["b", "a:1", "c@d.e+f-g"]


NOT_A_TAG = "Must be 1 to 64 letters, digits or any of _ . : @ + -"


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"colour": 1}, {"colour": ["Unknown field."]}),
        ({"job_type": 7}, {"job_type": ["Not a valid string."]}),
        ({"job_type": ""}, {"job_type": ["Must have 1 to 100 characters."]}),
        ({"priority": "urgent"}, {"priority": ["Must be one of: high, low."]}),
        ({"priority": None}, {"priority": ["Field may not be null."]}),
        ({"payload": 5}, {"payload": ["Must be a JSON object, or a string that holds JSON."]}),
        ({"payload": [1]}, {"payload": ["Must be a JSON object, or a string that holds JSON."]}),
        (
            {"payload": "{'a': 1}"},
            {
                "payload": [
                    "Must be JSON. Expecting property name enclosed in double quotes "
                    "(line 1, column 2)."
                ]
            },
        ),
        ({"delay_seconds": -1}, {"delay_seconds": ["Must be between 0 and 157680000."]}),
        ({"delay_seconds": 10**400}, {"delay_seconds": ["Must be between 0 and 157680000."]}),
        ({"delay_seconds": "5"}, {"delay_seconds": ["Must be a number."]}),
        ({"delay_seconds": True}, {"delay_seconds": ["Must be a number."]}),
        (
            {"run_at": 1_748_783_995_842},
            {"run_at": ["Must be between 0 and 4102444800 seconds since the epoch."]},
        ),
        (
            {"run_at": "2030-01-01T00:00:00"},
            {
                "run_at": [
                    "Must be an ISO 8601 time with its offset, such as 2026-01-31T09:00:00+01:00."
                ]
            },
        ),
        ({"run_at": "9999-12-31T23:59:59Z"}, {"run_at": ["Must be in the years 1970 to 2099."]}),
        (
            {"run_at": 5, "delay_seconds": 5},
            {"run_at": ["Give either run_at or delay_seconds."]},
        ),
        ({"max_retries": -1}, {"max_retries": ["Must be between 0 and 1000."]}),
        ({"max_retries": 1001}, {"max_retries": ["Must be between 0 and 1000."]}),
        ({"max_retries": 2.5}, {"max_retries": ["Must be a whole number."]}),
        ({"tags": "a"}, {"tags": ["Not a valid list."]}),
        ({"tags": ["a"] * 11}, {"tags": ["Must have 0 to 10 tags."]}),
        ({"tags": ["a", "b c"]}, {"tags.1": [NOT_A_TAG]}),
        ({"tags": ["a\n", "a,b"]}, {"tags.0": [NOT_A_TAG], "tags.1": [NOT_A_TAG]}),
    ],
)
def test_an_invalid_field_is_named_with_what_is_allowed(
    http: FlaskClient, fields: dict[str, Any], errors: dict[str, Any]
) -> None:
    response = http.post(URL, json=job(**fields))

    assert response.status_code == 422
    assert response.json == {
        "message": f"Invalid: {', '.join(errors)}.",
        "query_id": None,
        "data": None,
        "errors": errors,
    }


@pytest.mark.parametrize("missing", ["job_type", "payload"])
def test_job_type_and_payload_must_be_given(http: FlaskClient, missing: str) -> None:
    body = job()
    del body[missing]

    response = http.post(URL, json=body)

    assert response.status_code == 422
    assert response.json["errors"] == {missing: ["Missing data for required field."]}


def test_an_unknown_job_type_is_refused_with_the_known_ones(http: FlaskClient) -> None:
    response = http.post(URL, json=job(job_type="launch_rocket"))

    assert response.status_code == 422
    [rule] = response.json["errors"]["job_type"]
    assert "web_greet" in rule
    assert "web_noop" in rule


def test_a_payload_its_job_type_refuses_is_named_by_field(http: FlaskClient) -> None:
    response = http.post(
        URL, json=job(job_type="web_greet", payload={"times": "twice"}, priority="urgent")
    )

    assert response.status_code == 422
    errors = response.json["errors"]
    assert set(errors) == {"payload", "priority"}
    assert errors["payload"]["name"] == ["Missing data for required field."]
    assert errors["payload"]["times"] == ["Not a valid integer."]


def test_nothing_invalid_is_stored(http: FlaskClient, fake_client: redis.Redis) -> None:
    http.post(URL, json=job(priority="urgent"))
    http.post(URL, json=job(job_type="web_greet", payload={}))

    assert fake_client.keys("*") == ["Meta"]  # the number of the schema


def test_the_same_idempotency_key_answers_the_same_job(http: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order 42"}
    first = http.post(URL, json=job(), headers=headers)

    second = http.post(URL, json=job(), headers=headers)

    assert second.status_code == 200
    assert second.json == first.json
    assert http.get("/api/tasks").json["total_tasks"] == 1


def test_an_idempotency_key_of_another_job_is_a_conflict(http: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order 42"}
    http.post(URL, json=job(), headers=headers)

    response = http.post(URL, json=job(priority="high"), headers=headers)

    assert response.status_code == 409
    assert "job 1" in response.json["message"]
    assert list(response.json["errors"]) == ["Idempotency-Key"]


def test_the_job_of_an_idempotency_key_may_be_gone(http: FlaskClient) -> None:
    headers = {"Idempotency-Key": "order 42"}
    http.post(URL, json=job(), headers=headers)
    http.delete("/api/job/1")

    response = http.post(URL, json=job(), headers=headers)

    assert response.status_code == 200
    assert (response.json["query_id"], response.json["data"]) == (1, None)


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"])
def test_an_unusable_idempotency_key_is_named(http: FlaskClient, key: str) -> None:
    response = http.post(URL, json=job(), headers={"Idempotency-Key": key})

    assert response.status_code == 422
    assert response.json["errors"] == {
        "Idempotency-Key": ["Must be 1 to 255 printable ASCII characters."]
    }


def test_a_payload_over_1_mib_needs_attachments(http: FlaskClient) -> None:
    text = "x" * 1024 * 1024

    refused = http.post(URL, json=job(payload={"text": text}))
    taken = http.post(URL, json=job(payload={"attachments": [text]}))

    assert refused.status_code == 413
    assert refused.json["errors"] == {
        "payload": ["At most 1048576 bytes are allowed without attachments."]
    }
    assert taken.status_code == 200


def test_a_payloads_size_is_counted_in_bytes(http: FlaskClient) -> None:
    within = json.dumps({"a": "ü" * 524_283}, ensure_ascii=False)
    assert len(within.encode()) == 1024 * 1024 - 1

    assert http.post(URL, json=job(payload=within)).status_code == 200
    assert http.post(URL, json=job(payload=within + "  ")).status_code == 413


def test_a_known_key_is_answered_although_its_job_cannot_be_read(
    app: Flask, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": "k"}
    http.post(URL, json=job(), headers=headers)

    def away(job_id: int) -> None:
        raise QueueUnavailable("Redis is away")

    monkeypatch.setattr(app.extensions["inspector"], "job", away)

    response = http.post(URL, json=job(), headers=headers)

    assert response.status_code == 200
    assert (response.json["query_id"], response.json["data"]) == (1, None)


def test_a_finished_job_shows_its_result_and_worker(
    http: FlaskClient, queue: JobQueue, submit: Callable[..., int]
) -> None:
    submit()
    [claimed] = queue.claim("worker-1")
    queue.complete(claimed, {"sent": 1})

    data = http.get("/api/job/status/1").json["data"]

    assert (data["status"], data["result"], data["worker"]) == ("success", {"sent": 1}, "worker-1")
    assert data["created_at"] <= data["picked_at"] <= data["completed_at"]
    assert "token" not in data
