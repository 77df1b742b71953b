"""Logging in on the dashboard, and staying in: without JavaScript, as a browser does."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.security.limits import LOGIN_TRIES, LOGIN_WINDOW_SECONDS
from tests.dashboard.forms import Page
from tests.security.conftest import (
    ANNS_PASSWORD,
    PASSWORD,
    VIEWER_PASSWORD,
    hashed,
    log_in,
    try_to_log_in,
)


def test_a_login_leads_to_the_page_that_was_asked_for(guarded: Flask) -> None:
    http = guarded.test_client()
    asked = http.get("/dashboard/workers?x=%2F1")
    assert asked.status_code == 303

    response = try_to_log_in(http, "operator", PASSWORD, page=asked.headers["Location"])

    assert (response.status_code, response.headers["Location"]) == (
        303,
        "/dashboard/workers?x=%2F1",
    )
    assert http.get("/dashboard/workers").status_code == 200
    [entry] = guarded.extensions["audit"].recent()
    assert (entry.who, entry.action) == ("dashboard operator 127.0.0.1", "log in")


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "/dashboardx", "/api/x"],
)
def test_a_login_leads_to_no_other_site(guarded: Flask, target: str) -> None:
    http = guarded.test_client()
    form = Page(http.get("/login", query_string={"next": target})).form("Log in")
    fields = dict(form.fields) | {"name": "operator", "password": PASSWORD, "next": target}

    response = http.post(form.action, data=fields)

    assert (response.status_code, response.headers["Location"]) == (303, "/dashboard")
    assert target not in str(form.fields)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("operator", "my old one"),
        ("operator", ""),
        ("operator", VIEWER_PASSWORD),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("operator", PASSWORD + "x" * 5_000),
    ],
)
def test_a_wrong_name_or_password_is_refused_alike(
    guarded: Flask, name: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    http = guarded.test_client()

    response = try_to_log_in(http, name, password)

    assert response.status_code == 403
    assert "Name or password is wrong." in Page(response, 403).text
    assert http.get("/dashboard").status_code == 303
    assert "A login from 127.0.0.1 failed" in caplog.text
    assert not password or password not in response.text + caplog.text


def test_the_login_form_needs_its_token(guarded: Flask) -> None:
    http = guarded.test_client()
    response = http.post("/login", data={"name": "operator", "password": PASSWORD})
    assert response.status_code == 400
    assert http.get("/dashboard").status_code == 303


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"CONTENT_LENGTH": "1000000"}, 413),
        ({"CONTENT_LENGTH": "99999999999999999999"}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ],
)
def test_a_stranger_s_form_is_refused_unread(
    guarded: Flask, path: str, headers: dict[str, str], code: int
) -> None:
    class Unread(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("it was read")

        readinto = readline = read1 = read  # type: ignore[assignment]

    form = {"content_type": "application/x-www-form-urlencoded", "input_stream": Unread()}
    response = guarded.test_client().post(path, environ_overrides=headers, **form)
    assert response.status_code == code


def test_the_sixth_try_in_a_minute_waits(guarded: Flask, fake_client: redis.Redis) -> None:
    http = guarded.test_client()
    for _ in range(LOGIN_TRIES):
        assert try_to_log_in(http, "operator", "wrong").status_code == 403

    refused = try_to_log_in(http, "operator", PASSWORD)

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= LOGIN_WINDOW_SECONDS
    # Another address is not held up, nor is this one later.
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    other = guarded.test_client()
    form = Page(other.get("/login", **elsewhere)).form("Log in")
    fields = dict(form.fields) | {"name": "operator", "password": PASSWORD}
    assert other.post(form.action, data=fields, **elsewhere).status_code == 303
    [name] = fake_client.scan_iter("Login:127*")
    assert 0 < fake_client.ttl(name) <= LOGIN_WINDOW_SECONDS
    fake_client.delete(name)
    assert try_to_log_in(http, "operator", PASSWORD).status_code == 303


def test_a_success_starts_the_count_again(guarded: Flask) -> None:
    for _ in range(3):
        http = guarded.test_client()
        for _ in range(LOGIN_TRIES - 1):
            assert try_to_log_in(http, "operator", "wrong").status_code == 403
        assert try_to_log_in(http, "operator", PASSWORD).status_code == 303


def test_without_redis_tries_are_counted_all_the_same(guarded: Flask, closed_redis: str) -> None:
    config = replace(guarded.extensions["config"], redis_url=closed_redis)
    http = create_app(config).test_client()
    for _ in range(LOGIN_TRIES):
        assert try_to_log_in(http, "operator", "wrong").status_code == 403
    assert try_to_log_in(http, "operator", PASSWORD).status_code == 429


def test_logging_out_ends_it(guarded: Flask) -> None:
    http = log_in(guarded)
    form = Page(http.get("/dashboard")).form("Log out")
    assert "Logged in as operator" in Page(http.get("/dashboard")).text

    assert form.send(http, "Log out").headers["Location"] == "/login"

    assert http.get("/dashboard").status_code == 303


def test_a_get_does_not_log_out(guarded: Flask) -> None:
    http = log_in(guarded)
    assert http.get("/logout").status_code == 405
    assert http.get("/dashboard").status_code == 200


def test_a_session_ends(guarded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    http = log_in(guarded)
    hours = guarded.extensions["config"].session_hours
    now = time.time()
    monkeypatch.setattr("app.security.people.time.time", lambda: now + hours * 3600 - 60)
    assert http.get("/dashboard").status_code == 200
    monkeypatch.setattr("app.security.people.time.time", lambda: now + hours * 3600 + 60)
    assert http.get("/dashboard").status_code == 303


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, 200),
        ({"dashboard_password_hash": hashed("a new password")}, 303),
        ({"dashboard_password_hash": "", "dashboard_users": ()}, 303),
        ({"secret_key": "another " * 8}, 303),
    ],
)
def test_a_session_ends_with_its_password(
    guarded: Flask, make_app: Callable[..., Flask], changed: dict[str, str], code: int
) -> None:
    http = log_in(guarded)
    config = guarded.extensions["config"]
    users = ("dashboard_password_hash", "dashboard_viewer_password_hash", "dashboard_users")
    restarted = make_app(**{name: getattr(config, name) for name in users} | changed).test_client()
    cookie = http.get_cookie(f"mailroom_{config.port}")
    assert cookie is not None
    restarted.set_cookie(cookie.key, cookie.value)

    assert restarted.get("/dashboard").status_code == code


def test_a_session_from_before_the_login_is_not_kept(guarded: Flask) -> None:
    """Whoever planted it would be logged in as well."""
    http = guarded.test_client()
    form = Page(http.get("/login")).form("Log in")
    token = dict(form.fields)["csrf_token"]
    assert try_to_log_in(http, "operator", PASSWORD).status_code == 303

    response = http.post("/dashboard/queue/pause", data={"csrf_token": token})

    assert response.status_code == 400


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_cookie_is_for_us_alone(guarded: Flask, scheme: str, secure: bool) -> None:
    http = guarded.test_client()
    response = http.get("/login", base_url=f"{scheme}://localhost")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert ("Secure" in cookie) == secure
    assert ("Strict-Transport-Security" in response.headers) == secure


def test_a_part_of_a_page_leads_the_whole_page_to_the_login(guarded: Flask) -> None:
    shown = "http://localhost/dashboard?status=failed"
    response = guarded.test_client().get(
        "/dashboard/partials/jobs-table", headers={"HX-Current-URL": shown}
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login?next=/dashboard?status%3Dfailed"


def test_each_user_stands_in_the_audit_log_by_name(guarded: Flask, submit: object) -> None:
    guarded.extensions["queue"].submit("web_noop", "{}")
    ann = log_in(guarded, "ann", ANNS_PASSWORD)

    Page(ann.get("/dashboard/jobs/1")).form("Cancel").send(ann, "Cancel")

    entry = guarded.extensions["audit"].recent()[0]
    assert (entry.who, entry.action) == ("dashboard ann 127.0.0.1", "cancel")


def test_a_viewer_is_offered_nothing_to_do(guarded: Flask, http: FlaskClient) -> None:
    guarded.extensions["queue"].submit("web_noop", "{}")
    viewer = log_in(guarded, "viewer", VIEWER_PASSWORD)
    for page in ("/dashboard", "/dashboard/jobs/1", "/dashboard/suppressions"):
        forms = [form for form in Page(viewer.get(page)).forms if form.method == "post"]
        offered = {button for form in forms for button in form.buttons}
        assert offered == {"Log out"}, page


def test_without_passwords_there_is_no_login(http: FlaskClient) -> None:
    assert http.get("/login").headers["Location"] == "/dashboard"
    assert "Log out" not in http.get("/dashboard").text
