"""Retry, cancel or delete all jobs that match a filter, over JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.queue.errors import QueueUnavailable
from app.queue.job import Status
from app.queue.jobqueue import JobQueue

Submit = Callable[..., int]
ACTIONS = "/api/jobs/actions"


def act(http: FlaskClient, **body: Any) -> TestResponse:
    return http.post(ACTIONS, json=body)


def audit_log(app: Flask) -> list[tuple[str, str, str]]:
    return [(e.who, e.action, e.subject) for e in app.extensions["audit"].recent(20)]


def test_an_action_starts_an_operation(app: Flask, http: FlaskClient, submit: Submit) -> None:
    for priority in ("high", "low", "high"):
        submit(priority=priority)

    response = act(http, action="cancel", filter={"priority": "high", "status": "pending"})

    assert response.status_code == 200
    answer = response.json
    assert (answer["message"], answer["query_id"]) == ("Operation started", None)
    data = answer["data"]
    assert data["action"] == "cancel"
    assert data["filter"] == {"priority": "high", "status": "pending"}
    assert data["by"] == "api 127.0.0.1"
    assert (data["done"], data["skipped"]) == (0, 0)
    assert data["status"] in ("running", "done")
    operation = http.get(f"/api/operations/{data['id']}").json
    assert operation["data"] == data
    [(who, action, subject)] = audit_log(app)
    assert (who, action) == ("api 127.0.0.1", "cancel")
    assert subject == f"all jobs with status pending, priority high, operation {data['id']}"


def test_a_dry_run_counts_and_changes_nothing(
    app: Flask, http: FlaskClient, submit: Submit
) -> None:
    submit(priority="high")
    submit()
    before = app.extensions["inspector"].revision()

    response = act(http, action="delete", filter={"priority": "high"}, dry_run=True)

    assert response.json == {
        "message": "Nothing was done: this is a dry run",
        "query_id": None,
        "data": {
            "action": "delete",
            "filter": {"priority": "high"},
            "total": 1,
            "able": 1,
            "complete": True,
        },
    }
    assert app.extensions["inspector"].revision() == before
    assert app.extensions["operations"].recent(10) == []
    assert audit_log(app) == []


@pytest.mark.parametrize(
    ("filters", "total"),
    [
        ({"status": "scheduled"}, 1),
        ({"job_type": "web_greet"}, 1),
        ({"priority": "low"}, 3),
        ({"tag": "red"}, 2),
        ({"q": "2"}, 1),
        ({"q": "#red", "priority": "high"}, 1),
        ({"tag": "blue"}, 0),
    ],
)
def test_every_filter_counts(
    http: FlaskClient, submit: Submit, filters: dict[str, str], total: int
) -> None:
    submit(tags=["red"])
    submit(priority="high", tags=["red"])
    submit(delay_seconds=60)
    submit(job_type="web_greet", payload={"name": "Ada"})

    response = act(http, action="cancel", filter=filters, dry_run=True)

    assert response.json["data"]["total"] == total


def test_every_job_there_is_must_be_asked_for(http: FlaskClient, submit: Submit) -> None:
    submit()

    assert act(http, action="delete", all=True, dry_run=True).json["data"]["total"] == 1
    assert act(http, action="delete", all=True, filter={}, dry_run=True).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({"action": "delete"}, "filter", 'Give a filter, or "all": true for every job.'),
        ({"action": "delete", "filter": {}}, "filter", 'Give a filter, or "all": true'),
        ({"action": "delete", "filter": {}, "all": False}, "filter", 'Give a filter, or "all"'),
        (
            {"action": "delete", "filter": {"tag": "a"}, "all": True},
            "all",
            "Give either a filter or all.",
        ),
        ({"filter": {"tag": "a"}}, "action", "Missing data"),
        (
            {"action": "destroy", "filter": {"tag": "a"}},
            "action",
            "Must be one of: retry, cancel, delete.",
        ),
        # Not taken for no filter at all: every job would be deleted.
        ({"action": "delete", "filter": {"q": "\0"}}, "filter.q", "not only spaces"),
        ({"action": "delete", "filter": {"q": "  "}}, "filter.q", "not only spaces"),
        ({"action": "retry", "filter": "failed"}, "filter._schema", "Invalid input type."),
        ({"action": "retry", "filter": None}, "filter", "may not be null"),
        (
            {"action": "retry", "filter": {"status": "done"}},
            "filter.status",
            "Must be one of: scheduled, pending",
        ),
        ({"action": "retry", "filter": {"status": ""}}, "filter.status", "Must be one of"),
        ({"action": "retry", "filter": {"tag": "a b"}}, "filter.tag", "Must be 1 to 64 letters"),
        ({"action": "retry", "filter": {"q": ""}}, "filter.q", "Must have 1 to 200 characters."),
        ({"action": "retry", "filter": {"id": 7}}, "filter.id", "Unknown field."),
        ({"action": "retry", "filter": {"priority": 1}}, "filter.priority", "Not a valid string"),
        ({"action": "retry", "all": "true"}, "all", "Must be true or false."),
        ({"action": "retry", "all": 1}, "all", "Must be true or false."),
        (
            {"action": "retry", "filter": {"tag": "a"}, "dry_run": "yes"},
            "dry_run",
            "Must be true or false.",
        ),
        ({"action": "retry", "filter": {"tag": "a"}, "limit": 5}, "limit", "Unknown field."),
    ],
)
def test_a_wrong_field_is_named_and_nothing_started(
    app: Flask, http: FlaskClient, body: dict[str, Any], field: str, rule: str
) -> None:
    response = act(http, **body)

    assert response.status_code == 422
    assert rule in response.json["errors"][field][0]
    assert app.extensions["operations"].recent(10) == []


def test_a_form_is_no_json(http: FlaskClient) -> None:
    response = http.post(ACTIONS, data={"action": "delete", "all": "true"})

    assert response.status_code == 415


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_a_page_of_another_site_cannot_start_or_stop_one(
    app: Flask, http: FlaskClient, submit: Submit, headers: dict[str, str]
) -> None:
    submit()
    body = {"action": "delete", "all": True}

    assert http.post(ACTIONS, json=body, headers=headers).status_code == 403
    assert app.extensions["operations"].recent(10) == []
    started = act(http, **body).json["data"]["id"]
    assert http.post(f"/api/operations/{started}/stop", headers=headers).status_code == 403


def test_an_operation_is_stopped(app: Flask, http: FlaskClient, submit: Submit) -> None:
    for _ in range(3):
        submit()
    started = act(http, action="cancel", all=True).json["data"]["id"]

    response = http.post(f"/api/operations/{started}/stop")

    assert response.status_code == 200
    assert response.json["data"]["status"] == "stopped"
    assert audit_log(app)[0] == ("api 127.0.0.1", "stop", f"operation {started}")
    again = http.post(f"/api/operations/{started}/stop").json
    assert again["message"].endswith("already")


@pytest.mark.parametrize("operation_id", ["7", "0", "-1", "abc", "٣", "1.0", "9" * 19, "9" * 5000])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/operations/{}"), ("POST", "/api/operations/{}/stop")]
)
def test_an_unknown_operation_is_not_found(
    http: FlaskClient, method: str, path: str, operation_id: str
) -> None:
    response = http.open(path.format(operation_id), method=method)

    assert response.status_code == 404
    assert response.json == {
        "message": "Operation not found",
        "query_id": None,
        "data": None,
        "errors": {},
    }


def test_all_that_acts_is_in_the_audit_log(
    app: Flask, http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    http.post("/api/job/1/cancel")
    http.post("/api/job/1/retry")
    http.delete("/api/job/1")
    http.post("/api/queue/pause")
    http.post("/api/queue/resume")

    assert [entry[1:] for entry in audit_log(app)] == [
        ("resume", "the queue"),
        ("pause", "the queue"),
        ("delete", "job 1"),
        ("retry", "job 1"),
        ("cancel", "job 1"),
    ]


def test_what_was_refused_is_not_in_the_audit_log(
    app: Flask, http: FlaskClient, submit: Submit
) -> None:
    submit()

    assert http.post("/api/job/1/retry").status_code == 409
    assert http.post("/api/job/7/cancel").status_code == 404
    assert audit_log(app) == []


def test_what_was_done_stands_although_the_audit_log_is_away(
    app: Flask,
    http: FlaskClient,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    submit()

    def away(who: str, action: str, subject: str) -> None:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(app.extensions["audit"], "write", away)

    response = http.post("/api/job/1/cancel")

    assert response.json["data"]["status"] == Status.CANCELLED
    assert "Not in the audit log: api 127.0.0.1, cancel, job 1" in caplog.text
