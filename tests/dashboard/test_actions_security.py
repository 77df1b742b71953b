"""Nobody acts through another person's browser, and looking changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.api.conftest import source_for_fakeredis
from tests.dashboard.forms import Form, Page

Submit = Callable[..., int]


@pytest.fixture
def cancel(http: FlaskClient, submit: Submit) -> Form:
    """The form that cancels job 1, as its page has it."""
    submit()
    return Page(http.get("/dashboard/jobs/1")).form("Cancel")


def unsafe_urls(app: Flask) -> list[str]:
    """Every POST of the dashboard."""
    values = {"job_id": 1, "operation_id": 1, "action": ""}
    adapter = app.url_map.bind("localhost")
    urls = []
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("dashboard.") or "POST" not in (rule.methods or ()):
            continue
        for action in ("retry", "cancel", "delete", "pause", "resume"):
            try:
                urls.append(adapter.build(rule.endpoint, values | {"action": action}, "POST"))
            except ValueError:
                continue  # not one of this rule's actions
    return sorted({url.partition("?")[0] for url in urls})


def test_every_post_of_the_dashboard_needs_a_token(app: Flask, submit: Submit) -> None:
    submit()
    urls = unsafe_urls(app)
    assert {
        "/dashboard/actions",
        "/dashboard/actions/start",
        "/dashboard/jobs/1/cancel",
        "/dashboard/jobs/1/delete",
        "/dashboard/operations/1/stop",
        "/dashboard/queue/pause",
    } <= set(urls)
    before = app.extensions["inspector"].revision()

    for url in urls:
        response = app.test_client().post(url)
        assert response.status_code == 400, url
        assert "Nothing was done" in response.text

    assert app.extensions["inspector"].revision() == before


def test_without_a_token_nothing_is_done_and_the_page_says_to_reload(
    http: FlaskClient, cancel: Form, inspector: Inspector
) -> None:
    cancel.fields = [(name, value) for name, value in cancel.fields if name != "csrf_token"]

    response = cancel.send(http, "Cancel")

    assert response.status_code == 400
    assert "reload it" in Page(response, code=400).text
    assert inspector.job(1).status == Status.PENDING


def test_a_wrong_token_is_refused(http: FlaskClient, cancel: Form, inspector: Inspector) -> None:
    cancel.fields = [
        (name, value[:-1] + "?" if name == "csrf_token" else value) for name, value in cancel.fields
    ]

    assert cancel.send(http, "Cancel").status_code == 400
    assert inspector.job(1).status == Status.PENDING


def test_the_token_of_another_person_is_refused(
    app: Flask, cancel: Form, inspector: Inspector
) -> None:
    other = app.test_client()
    other.get("/dashboard/jobs/1")

    assert cancel.send(other, "Cancel").status_code == 400
    assert inspector.job(1).status == Status.PENDING


def test_a_token_is_as_good_in_the_header(
    http: FlaskClient, cancel: Form, inspector: Inspector
) -> None:
    [token] = [value for name, value in cancel.fields if name == "csrf_token"]

    response = http.post(cancel.action, headers={"X-CSRFToken": token})

    assert response.status_code == 303
    assert inspector.job(1).status == Status.CANCELLED


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_cannot_act_even_with_a_token(
    http: FlaskClient, cancel: Form, inspector: Inspector, headers: dict[str, str]
) -> None:
    assert cancel.send(http, "Cancel", **headers).status_code == 400
    assert inspector.job(1).status == Status.PENDING


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}]
)
def test_a_page_of_our_own_can_act(
    http: FlaskClient, cancel: Form, headers: dict[str, str]
) -> None:
    assert cancel.send(http, "Cancel", **headers).status_code == 303


def test_a_page_left_open_for_days_still_acts(
    http: FlaskClient, cancel: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    days_later = int(time.time()) + 3 * 86_400
    monkeypatch.setattr("itsdangerous.TimestampSigner.get_timestamp", lambda self: days_later)

    assert cancel.send(http, "Cancel").status_code == 303


def test_all_processes_of_a_copy_take_each_other_s_tokens(
    config: Config, fake_client: redis.Redis, cancel: Form, http: FlaskClient
) -> None:
    sibling = create_app(config, client=fake_client, source=source_for_fakeredis).test_client()
    cookie = http.get_cookie(f"mailroom_{config.port}")
    assert cookie is not None and cookie.http_only and cookie.same_site == "Lax"
    sibling.set_cookie(cookie.key, cookie.value)

    assert cancel.send(sibling, "Cancel").status_code == 303


def test_two_copies_on_one_host_keep_their_cookies_apart(
    config: Config, fake_client: redis.Redis, cancel: Form, http: FlaskClient
) -> None:
    other_config = replace(config, port=config.port + 1, secret_key="another " * 8)
    other = create_app(other_config, client=fake_client, source=source_for_fakeredis).test_client()
    other.get("/dashboard/jobs/1")
    cookie = other.get_cookie(f"mailroom_{config.port + 1}")
    assert cookie is not None
    http.set_cookie(cookie.key, cookie.value)

    assert cancel.send(http, "Cancel").status_code == 303


def test_no_get_changes_anything(app: Flask, queue: JobQueue, submit: Submit) -> None:
    submit()
    operation_id = app.extensions["operations"].start("retry", JobQuery(), "tests")
    inspector: Inspector = app.extensions["inspector"]
    adapter = app.url_map.bind("localhost")
    before = (inspector.revision(), inspector.job(1))
    codes = {}

    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            values = dict.fromkeys(rule.arguments, 1) | {"filename": "app.css"}
            url = adapter.build(rule.endpoint, values).partition("?")[0]
            response = app.test_client().get(url)
            codes[url] = response.status_code
            response.close()

    assert {code for url, code in codes.items() if url.startswith("/dashboard")} <= {200, 302, 404}
    assert len(codes) > 15
    assert (inspector.revision(), inspector.job(1)) == before
    assert app.extensions["operations"].get(operation_id).status == "running"


@pytest.mark.parametrize("name", ["back", "next", "origin", "url", "page", "q"])
@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_no_form_leads_to_another_site(
    http: FlaskClient, cancel: Form, name: str, target: str
) -> None:
    cancel.fields = [f for f in cancel.fields if f[0] != name] + [(name, target)]

    response = cancel.send(http, "Cancel", Referer="https://evil.example/")

    assert response.status_code in (303, 400)
    assert response.headers.get("Location", "/dashboard").split("?")[0] in (
        "/dashboard",
        "/dashboard/jobs/1",
    )


def test_the_api_takes_no_cookie_and_needs_no_token(http: FlaskClient, submit: Submit) -> None:
    submit()

    response = http.post("/api/job/1/cancel")

    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
