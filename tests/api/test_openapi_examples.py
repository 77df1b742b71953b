"""What the OpenAPI description gives as examples is what the application takes and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from app.api.openapi_examples import EXAMPLES, Example
from app.api.openapi_refusals import REFUSALS
from app.api.submission import BODY_MAX_BYTES
from app.queue.errors import QueueUnavailable
from app.queue.outcome import failed

Submit = Callable[..., int]
Operation = tuple[str, str]
# What depends on the workers that live and on what happened, not on the API.
VARIES = {"totals", "by_type", "last_minute"}


@pytest.fixture
def document(http: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/api/openapi.json").json
    return found


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def send(http: FlaskClient, operation: Operation, example: Example) -> Any:
    method, path = operation
    options: dict[str, Any] = {"json": example.body} if example.body is not None else {}
    return http.open(
        path.format(**example.path), method=method.upper(), query_string=example.query, **options
    )


def prepare(app: Flask, http: FlaskClient, operation: Operation) -> None:
    """What must be there for the example to be answered with 200."""
    queue = app.extensions["queue"]
    method, path = operation
    if path == "/api/process_query":
        return
    if path.startswith("/api/operations/"):
        send(http, ("post", "/api/jobs/actions"), EXAMPLES["post", "/api/jobs/actions"])
    elif "address" in path and method != "put" or operation == ("get", "/api/suppressions"):
        send(http, ("post", "/api/suppressions"), EXAMPLES["post", "/api/suppressions"])
    elif path.startswith(("/api/job/", "/api/tasks")):
        send(http, ("post", "/api/process_query"), EXAMPLES["post", "/api/process_query"])
    if path.endswith("/retry"):
        http.post("/api/job/1/cancel")
    if path.endswith("/attempts"):
        [job] = queue.claim("worker-1", 1)
        queue.turn("worker-1", [failed(job, "451 Later", retry_in_ms=60_000, smtp_code=451)], 0)
    if path in ("/readyz", "/api/workers"):
        queue.renew("worker-1", [], {"role": "main", "host": "mail-1", "pid": 1})


@pytest.mark.parametrize("operation", EXAMPLES, ids=" ".join)
def test_an_example_can_be_sent_as_it_stands(
    app: Flask, http: FlaskClient, document: dict[str, Any], operation: Operation
) -> None:
    example = EXAMPLES[operation]
    prepare(app, http, operation)

    answer = send(http, operation, example)

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-ID"]
    if example.answer is None:
        return
    method, path = operation
    content = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
    assert content["example"] == example.answer
    validate(document, content["schema"], example.answer)
    validate(document, content["schema"], answer.json)
    assert names(answer.json) == names(example.answer)
    if "message" in example.answer:
        assert answer.json["message"] == example.answer["message"]


def names(value: Any) -> Any:
    """Which attributes an answer has, at every depth; of a worker only the sure ones."""
    if isinstance(value, list):
        return [names(one) for one in value]
    if isinstance(value, dict) and "last_seen_at" in value:
        return {"name", "last_seen_at", "alive"} - value.keys()
    if isinstance(value, dict):
        return {key: None if key in VARIES else names(one) for key, one in value.items()}
    return None


def test_examples_of_requests_are_valid(document: dict[str, Any]) -> None:
    bodies = 0
    for _, _, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            bodies += 1
            validate(document, content["schema"], content["example"])
    assert bodies == 5


def test_every_operation_says_what_a_stranger_must_know(document: dict[str, Any]) -> None:
    groups = {tag["name"] for tag in document["tags"]}
    ids = []
    for method, path, operation in operations(document):
        assert operation["summary"] and operation["description"], (method, path)
        assert set(operation["tags"]) <= groups, (method, path)
        assert "X-Request-ID" in operation["responses"]["200"]["headers"], (method, path)
        ids.append(operation["operationId"])
        if path not in ("/healthz", "/readyz"):
            assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)
            [[scope]], none = [*operation["security"][0].values()], operation["security"][1]
            assert f"`{scope}`" in operation["description"] and none == {}
        if path not in ("/healthz", "/metrics"):
            assert "503" in operation["responses"], (method, path)
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= operation["responses"].keys(), (method, path)
        if "{" in path:
            assert "404" in operation["responses"], (method, path)
    assert len(ids) == len(set(ids))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_each_refusal_is_answered_as_its_example_says(
    app: Flask, http: FlaskClient, document: dict[str, Any], submit: Submit
) -> None:
    answers = dict(provoked(app, http, submit))

    assert answers.keys() == REFUSALS.keys()
    for code, answer in answers.items():
        refusal = document["components"]["responses"][REFUSALS[code].name]
        content = refusal["content"]["application/json"]
        assert answer.status_code == code, answer.text
        validate(document, content["schema"], answer.json)
        assert answer.json == content["example"]
        for header in refusal["headers"]:
            assert answer.headers[header], (code, header)


def provoked(app: Flask, http: FlaskClient, submit: Submit) -> Iterator[tuple[int, Any]]:
    """A real answer for each code, provoked the way its example tells of."""
    path = "/api/process_query"
    job = {"job_type": "web_noop", "payload": {}}
    yield 400, http.post(path, data="", content_type="application/json")
    yield 404, http.get("/api/job/status/99")
    last = [submit() for _ in range(7)][-1]
    queue = app.extensions["queue"]
    http.post(f"/api/job/{last}/cancel")
    yield 409, http.post(f"/api/job/{last}/cancel")
    too_large = b" " * (BODY_MAX_BYTES + 1)
    yield 413, http.post(path, data=too_large, content_type="application/json")
    yield 415, http.post(path, data="{}")
    yield 422, http.post(path, json=job | {"priority": "urgent"})
    with patch.object(queue, "submit_one", side_effect=QueueUnavailable("away")):
        yield 503, http.post(path, json=job)
    keys, rate = app.extensions["api_keys"], app.extensions["request_rate"]
    _, key = keys.create("shop", scopes=["read"], by="tests", now=1.0)
    bearer = {"Authorization": f"Bearer {key}"}
    yield 401, http.get("/api/stats", headers={"Authorization": "Bearer mr_no_such"})
    yield 403, http.post("/api/queue/pause", headers=bearer)
    with patch.object(rate, "_take_share", return_value=0), patch.object(rate, "_windows", {}):
        yield 429, http.get("/api/stats", headers=bearer)


def test_who_did_it_is_written_as_in_the_examples(
    app: Flask, http: FlaskClient, document: dict[str, Any]
) -> None:
    key, text = app.extensions["api_keys"].create("shop", scopes=["admin"], by="tests", now=1.0)
    operation = ("post", "/api/suppressions")
    bearer = {"Authorization": f"Bearer {text}"}

    answer = http.post(operation[1], json=EXAMPLES[operation].body, headers=bearer)

    shown = document["paths"][operation[1]]["post"]["responses"]["200"]
    written = shown["content"]["application/json"]["example"]["data"]["by"]
    expected = written.replace("3f9a01c7", key.id).replace("10.0.0.7", "127.0.0.1")
    assert answer.json["data"]["by"] == expected
