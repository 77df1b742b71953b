"""One id from the request through the job to the worker's lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.inspector import Inspector

JOB = {"job_type": "web_noop", "payload": {}}


def request_id_of(app: Flask, job_id: int) -> str | None:
    inspector: Inspector = app.extensions["inspector"]
    return inspector.job(job_id).request_id


def test_the_callers_id_is_answered_and_kept_with_the_job(app: Flask, http: FlaskClient) -> None:
    response = http.post("/api/process_query", json=JOB, headers={"X-Request-ID": "order-7:a_b.c"})

    assert response.headers["X-Request-ID"] == "order-7:a_b.c"
    assert response.json is not None
    assert response.json["data"]["request_id"] == "order-7:a_b.c"
    assert request_id_of(app, response.json["query_id"]) == "order-7:a_b.c"


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "x" * 65, "é", '"'])
def test_an_unusable_id_is_replaced(http: FlaskClient, given: str) -> None:
    response = http.get("/healthz", headers={"X-Request-ID": given})

    made = response.headers["X-Request-ID"]
    assert len(made) == 16
    assert int(made, 16) >= 0


def test_every_request_has_an_id_of_its_own(http: FlaskClient) -> None:
    ids = {http.get(url).headers["X-Request-ID"] for url in ("/healthz", "/dashboard", "/nothing")}

    assert len(ids) == 3


def test_all_jobs_of_a_batch_have_the_id_of_their_request(app: Flask, http: FlaskClient) -> None:
    response = http.post(
        "/api/jobs/batch", json={"jobs": [JOB, JOB]}, headers={"X-Request-ID": "both"}
    )

    assert response.json is not None
    ids = [result["query_id"] for result in response.json["results"]]
    assert [request_id_of(app, job_id) for job_id in ids] == ["both", "both"]


def test_the_same_submission_again_is_the_same_whatever_its_request_id(http: FlaskClient) -> None:
    answers: list[Any] = [
        http.post(
            "/api/process_query", json=JOB, headers={"Idempotency-Key": "k", "X-Request-ID": name}
        ).json
        for name in ("first", "second")
    ]

    assert answers[0]["query_id"] == answers[1]["query_id"]
    assert answers[1]["data"]["request_id"] == "first"


def test_what_changes_something_leaves_a_line(
    http: FlaskClient, submit: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job_id = submit()
    http.get(f"/api/job/status/{job_id}?secret=1")
    http.post(f"/api/job/{job_id}/cancel?secret=1")

    lines = [line.getMessage() for line in caplog.records if line.name == "app.requests"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "POST /api/process_query 200",
        f"POST /api/job/{job_id}/cancel 200",
    ]
