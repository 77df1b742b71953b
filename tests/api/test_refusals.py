"""The codes that are not about one endpoint: bodies, methods, faults, Redis away."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.queue.errors import (
    LayoutChanging,
    NotReplicated,
    QueueError,
    QueueFull,
    QueueUnavailable,
    ServerUnsuitable,
)
from app.queue.schema import UpgradeNeeded
from app.security.headers import SECURITY_HEADERS

SUBMIT = "/api/process_query"
BODIES = ("/api/process_query", "/api/jobs/batch")


@pytest.mark.parametrize("url", BODIES)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 100_000]
)
def test_a_body_that_is_not_strict_json_is_400(http: FlaskClient, url: str, body: bytes) -> None:
    response = http.post(url, data=body, content_type="application/json")

    assert response.status_code == 400
    assert response.json["message"].startswith("The body is not JSON: ")
    assert response.json["errors"] == {}


@pytest.mark.parametrize("url", BODIES)
@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_422(http: FlaskClient, url: str, body: bytes) -> None:
    response = http.post(url, data=body, content_type="application/json")

    assert response.status_code == 422
    assert response.json["errors"] == {"body": ["Must be a JSON object."]}


@pytest.mark.parametrize("url", BODIES)
@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_another_content_type_is_415(http: FlaskClient, url: str, content_type: str) -> None:
    assert http.post(url, data=b"{}", content_type=content_type).status_code == 415


def test_the_content_type_may_name_its_charset(http: FlaskClient) -> None:
    response = http.post(
        SUBMIT,
        data=b'{"job_type": "web_noop", "payload": {}}',
        content_type="application/json; charset=utf-8",
    )

    assert response.status_code == 200


@pytest.mark.parametrize("url", BODIES)
def test_a_body_over_16_mib_is_413(http: FlaskClient, url: str) -> None:
    response = http.post(url, data=b" " * (16 * 1024 * 1024 + 1), content_type="application/json")

    assert response.status_code == 413
    assert set(response.json) == {"message", "query_id", "data", "errors"}


def test_a_chunked_body_is_not_cut_at_16_mib(http: FlaskClient) -> None:
    whole = b'{"job_type": "web_noop", "payload": {}}'
    body = BytesIO(whole + b" " * (16 * 1024 * 1024 - len(whole)) + b"more")

    response = http.post(
        SUBMIT,
        input_stream=body,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )

    assert response.status_code == 413


def test_a_wrong_method_is_405_and_says_what_is_allowed(http: FlaskClient) -> None:
    response = http.delete("/api/tasks")

    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert response.json["message"] == "Method not allowed"


def test_an_unknown_endpoint_is_404_in_the_same_shape(http: FlaskClient) -> None:
    response = http.get("/api/nothing")

    assert response.status_code == 404
    assert response.json == {
        "message": "No such endpoint",
        "query_id": None,
        "data": None,
        "errors": {},
    }


def test_an_unexpected_fault_is_500_logged_and_leaks_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app.extensions["inspector"], "stats", break_down)

    response = app.test_client().get("/api/stats")

    assert response.status_code == 500
    assert response.json["message"] == "Internal error"
    assert "secret" not in response.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("error", [QueueFull("OOM at host x"), ServerUnsuitable("host x: NOAUTH")])
def test_a_server_that_refuses_is_503_without_its_reason(
    app: Flask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(jobs: object) -> None:
        raise error

    monkeypatch.setattr(app.extensions["queue"], "submit_one", refuse)

    response = app.test_client().post(SUBMIT, json={"job_type": "web_noop", "payload": {}})

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "host x" not in response.text


@pytest.mark.parametrize("kind", [QueueUnavailable, ServerUnsuitable])
def test_every_error_of_these_kinds_is_503_and_says_when_to_come_back(
    app: Flask, monkeypatch: pytest.MonkeyPatch, kind: type[QueueError]
) -> None:
    """Also those that are added some day."""
    for one in (kind, *_derived_from(kind)):
        error = one.__new__(one)  # whatever its arguments are

        def refuse(_job: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(app.extensions["queue"], "submit_one", refuse)
        response = app.test_client().post(SUBMIT, json=ONE)

        assert response.status_code == 503, one
        assert int(response.headers["Retry-After"]) > 0


def _derived_from(kind: type[QueueError]) -> list[type[QueueError]]:
    return [one for sub in kind.__subclasses__() for one in (sub, *_derived_from(sub))]


def test_the_kinds_of_errors_are_found_at_any_depth(app: Flask) -> None:
    assert {LayoutChanging, NotReplicated, QueueFull} <= {*_derived_from(QueueUnavailable)}
    assert UpgradeNeeded in _derived_from(QueueError)


@pytest.fixture
def hanging_redis() -> Iterator[socket.socket]:
    """What listens in the place of a server: it takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def connections_to(listener: socket.socket) -> int:
    """How many were made and not yet counted."""
    listener.setblocking(False)
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


ONE = {"job_type": "web_noop", "payload": {}}
CALLS = [
    ("POST", SUBMIT, ONE),
    ("GET", "/dashboard", None),
    ("POST", "/api/jobs/batch", {"jobs": [ONE]}),
    ("GET", "/api/job/status/1", None),
    ("GET", "/api/tasks", None),
    ("GET", "/readyz", None),
]


@pytest.mark.parametrize(("method", "url", "body"), CALLS)
def test_redis_gone_is_503_with_retry_after(
    config: Config, closed_redis: str, method: str, url: str, body: object
) -> None:
    http = create_app(replace(config, redis_url=closed_redis)).test_client()

    response = http.open(url, method=method, json=body)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(("method", "url", "body"), CALLS[:2])
def test_redis_hanging_is_503_within_2_seconds(
    config: Config, hanging_redis: socket.socket, method: str, url: str, body: object
) -> None:
    """One time-out, which is shorter, is waited for: after it the connection is given up, so a
    second would be on another. How long that takes on a busy machine is not ours."""
    redis_url = f"redis://127.0.0.1:{hanging_redis.getsockname()[1]}"
    app = create_app(replace(config, redis_url=redis_url))
    options = app.extensions["store"].client.connection_pool.connection_kwargs

    response = app.test_client().open(url, method=method, json=body)

    assert response.status_code == 503
    assert connections_to(hanging_redis) == 1
    assert 0 < options["socket_timeout"] < 2


def test_what_no_replica_confirms_is_503_and_says_how_to_repeat_it(
    config: Config, client: redis.Redis
) -> None:
    """`client`'s server has no replica."""
    http = create_app(replace(config, durability="replicated"), client=client).test_client()

    response = http.post("/api/process_query", json={"job_type": "web_noop", "payload": "{}"})

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert response.json is not None and "same Idempotency-Key" in response.json["message"]


def test_the_process_is_alive_without_redis(config: Config, closed_redis: str) -> None:
    http = create_app(replace(config, redis_url=closed_redis)).test_client()

    response = http.get("/healthz")

    assert (response.status_code, response.json) == (200, {"status": "ok"})


OK = {
    "status": "ok",
    "reasons": [],
    "warnings": [],
    "oldest_pending_seconds": None,
    "last_success_seconds": None,
}


def test_ready_means_redis_writable_and_a_main_worker_alive(app: Flask) -> None:
    http = app.test_client()
    before = http.get("/readyz")
    app.extensions["queue"].renew("worker-1", [], {"role": "main"})
    after = http.get("/readyz")

    assert before.status_code == 503
    reasons = ["No main worker is alive."]
    assert before.json == {"status": "unavailable", "reasons": reasons, "warnings": []}
    assert (after.status_code, after.json) == (200, OK)


def test_ready_tells_how_long_jobs_wait(app: Flask, submit: Callable[..., int]) -> None:
    app.extensions["queue"].renew("worker-1", [], {"role": "main"})
    submit()

    found = app.test_client().get("/readyz").json

    assert found is not None and found["oldest_pending_seconds"] >= 0


def test_ready_tells_how_long_ago_a_job_succeeded(app: Flask, submit: Callable[..., int]) -> None:
    queue = app.extensions["queue"]
    queue.renew("worker-1", [], {"role": "main"})
    submit()
    submit()
    queue.complete(queue.claim("worker-1")[0])
    queue.fail(queue.claim("worker-1")[0], "later", retry_in_ms=None)

    found = app.test_client().get("/readyz").json

    completed_at = app.extensions["inspector"].job(1).completed_at
    ago = app.extensions["inspector"].now() - completed_at
    assert found is not None and 0 <= found["last_success_seconds"] <= ago


def test_a_paused_queue_is_a_warning(app: Flask) -> None:
    app.extensions["queue"].renew("worker-1", [], {"role": "main"})
    app.extensions["queue"].pause()

    response = app.test_client().get("/readyz")

    assert response.status_code == 200
    warnings = ["The queue is paused: no jobs are handed out."]
    assert response.json == OK | {"warnings": warnings}


def test_a_mail_server_that_is_away_is_a_warning(app: Flask) -> None:
    breaker = {"reason": "Connection refused, while connecting", "since": 5, "next_probe_at": 35}
    presence = {"role": "main", "breaker": breaker}
    app.extensions["queue"].renew("worker-1", [], presence)
    http = app.test_client()

    response = http.get("/readyz")

    assert response.status_code == 200
    warning = "Worker worker-1 sends no mail: Connection refused, while connecting"
    assert response.json == OK | {"warnings": [warning]}
    stats = http.get("/api/stats").json
    assert stats is not None
    assert stats["data"]["breakers"] == [{"worker": "worker-1", **breaker}]


@pytest.mark.parametrize(
    "url", ["/api/tasks", "/api/nothing", "/dashboard", "/nothing", "/healthz", "/static/app.css"]
)
def test_every_answer_has_the_security_headers(http: FlaskClient, url: str) -> None:
    response = http.get(url)

    for name, value in SECURITY_HEADERS:
        assert response.headers.getlist(name) == [value]
    kept = "no-cache" if url.startswith("/static/") else "no-store"
    assert response.headers["Cache-Control"] == kept
    response.close()


@pytest.mark.parametrize("schema", [0, 99])
def test_a_store_of_another_version_is_503_but_the_process_is_alive(
    app: Flask, fake_client: redis.Redis, schema: int
) -> None:
    fake_client.hset("Meta", "schema", schema)
    http = app.test_client()

    assert http.post(SUBMIT, json=ONE).status_code == 503
    assert http.get("/api/stats").status_code == 503
    assert http.get("/dashboard").status_code == 503
    ready = http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["reasons"] == ["The store can't be used: the log says why."]
    assert http.get("/metrics").status_code == 200
    assert http.get("/healthz").status_code == 200
    assert fake_client.exists("Mail_queue") == 0
