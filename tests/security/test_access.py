"""Every route stands in a table of who may call it, and is refused to everyone else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask

from tests.security.conftest import VIEWER_PASSWORD, bearer, log_in

# Who may call what. A new route must be named here, so that somebody has thought about it.
TABLE = {
    "public": """
        GET static
        GET health.healthz
        GET health.readyz
        GET api.openapi_json
        GET api.docs
        GET login.log_in
        POST login.try_to_log_in
        POST login.log_out
    """,
    "submit": """
        POST api.process_query
        POST api.batch
    """,
    "read": """
        GET api.job_status
        GET api.tasks
        GET api.attempts
        GET api.stats
        GET api.workers
        GET api.operation
        GET api.list_suppressions
        GET api.show_suppression
        GET health.metrics
    """,
    "admin": """
        POST api.retry
        POST api.cancel
        DELETE api.delete
        POST api.act_on_jobs
        POST api.stop_operation
        POST api.pause
        POST api.resume
        POST api.add_suppression
        PUT api.put_suppression
        DELETE api.remove_suppression
    """,
    "viewer": """
        GET dashboard.home
        GET dashboard.index
        GET dashboard.jobs_table
        GET dashboard.counts
        GET dashboard.job
        GET dashboard.job_partial
        GET dashboard.job_payload
        GET dashboard.job_payload_partial
        GET dashboard.job_mail_html
        GET dashboard.workers
        GET dashboard.workers_partial
        GET dashboard.charts
        GET dashboard.charts_partial
        GET dashboard.export_csv
        GET dashboard.export_jsonl
        GET dashboard.mailbox
        GET dashboard.mail
        GET dashboard.mail_html
        GET dashboard.mail_raw
        GET dashboard.operations
        GET dashboard.operations_list
        GET dashboard.operation
        GET dashboard.operation_partial
        GET dashboard.suppressions
        GET dashboard.audit_log
        GET dashboard.nothing_to_confirm
    """,
    "operator": """
        POST dashboard.act_on_job
        POST dashboard.ask_to_delete
        POST dashboard.confirm
        POST dashboard.start
        POST dashboard.steer_queue
        POST dashboard.stop_operation
        POST dashboard.add_suppression
        POST dashboard.remove_suppression
    """,
}
ROUTES = {
    tuple(line.split()): who for who, lines in TABLE.items() for line in lines.strip().splitlines()
}
UNSAFE = sorted(route for route in ROUTES if route[0] != "GET")
SCOPES = {"submit": {"submit", "admin"}, "read": {"read", "admin"}, "admin": {"admin"}}
VALUES = {"job_id": 1, "operation_id": 1, "name": "x", "address": "a@example.com"}
VALUES |= {"filename": "app.css"}


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, rule.endpoint


def url(app: Flask, endpoint: str, method: str) -> str:
    adapter = app.url_map.bind("localhost")
    for action in ("retry", "pause"):
        try:
            return adapter.build(endpoint, VALUES | {"action": action}, method).partition("?")[0]
        except ValueError:
            continue
    raise AssertionError(endpoint)


def call(app: Flask, route: tuple[str, str], http: Any = None, **options: Any) -> Any:
    method, endpoint = route
    response = (http or app.test_client()).open(
        url(app, endpoint, method), method=method, **options
    )
    response.close()
    return response


def called(who: set[str]) -> list[tuple[str, str]]:
    return sorted(route for route, caller in ROUTES.items() if caller in who)


def test_every_route_is_in_the_table(guarded: Flask) -> None:
    assert set(routes(guarded)) == set(ROUTES)


def test_the_api_asks_for_a_key_with_the_right_scope(
    guarded: Flask, make_key: Callable[..., str]
) -> None:
    keys = {scope: make_key(scope) for scope in SCOPES}
    operator = log_in(guarded)
    for route in called(set(SCOPES)):
        without = call(guarded, route)
        assert without.status_code == 401, route
        assert without.headers["WWW-Authenticate"] == 'Bearer realm="mailroom"'
        assert set(without.json) == {"message", "query_id", "data", "errors"}

        unknown = call(guarded, route, headers=bearer("mr_00000000_" + "0" * 64))
        assert unknown.status_code == 401, route
        assert 'error="invalid_token"' in unknown.headers["WWW-Authenticate"]

        # Who may use the dashboard has no key by that.
        assert call(guarded, route, operator).status_code == 401, route

        for scope, key in keys.items():
            response = call(guarded, route, headers=bearer(key))
            if scope in SCOPES[ROUTES[route]]:
                assert response.status_code not in (401, 403), (route, scope)
            else:
                assert response.status_code == 403, (route, scope)
                assert response.json["message"] == f"The API key lacks the scope {ROUTES[route]}"
                challenge = response.headers["WWW-Authenticate"]
                assert f'scope="{ROUTES[route]}"' in challenge


def test_the_dashboard_asks_for_a_login_and_knows_no_keys(
    guarded: Flask, make_key: Callable[..., str]
) -> None:
    key = bearer(make_key("admin"))
    for route in called({"viewer", "operator"}):
        is_part = url(guarded, route[1], route[0]).startswith("/dashboard/partials/")
        for headers in ({}, key):
            response = call(guarded, route, headers=headers)
            if is_part:
                assert (response.status_code, response.data) == (401, b""), route
                assert response.headers["HX-Redirect"].startswith("/login")
            else:
                assert response.status_code == 303, route
                assert response.headers["Location"].startswith("/login")


def test_a_viewer_sees_every_page_and_does_not_act(guarded: Flask) -> None:
    viewer = log_in(guarded, "viewer", VIEWER_PASSWORD)
    before = guarded.extensions["inspector"].revision()
    for route in called({"viewer"}):
        response = call(guarded, route, viewer)
        assert response.status_code in (200, 302, 404), route
        assert "/login" not in response.headers.get("Location", "")
    for route in called({"operator"}):
        response = call(guarded, route, viewer)
        assert response.status_code == 403, route
        assert "You may look, not act" in response.text
    assert guarded.extensions["inspector"].revision() == before


def test_no_page_of_another_site_acts(guarded: Flask, make_key: Callable[..., str]) -> None:
    """Not even with a key, and in the browser of somebody who may act."""
    key, operator = bearer(make_key("admin")), log_in(guarded)
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        headers = key | foreign
        for route in UNSAFE:
            response = call(guarded, route, operator, headers=headers)
            assert response.status_code == (403 if route[1].startswith("api.") else 400), route


def test_nothing_is_done_by_get(guarded: Flask) -> None:
    operator = log_in(guarded)
    before = guarded.extensions["inspector"].revision()
    for route in UNSAFE:
        operator.get(url(guarded, route[1], route[0])).close()
    assert guarded.extensions["inspector"].revision() == before


def test_what_is_public_is_so_for_everyone(guarded: Flask) -> None:
    for route in called({"public"}):
        response = call(guarded, route)
        assert response.status_code not in (401, 403), route
        if route[0] == "POST":  # a form without its token
            assert response.status_code == 400


def test_the_page_of_the_api_leads_back_to_the_others(guarded: Flask) -> None:
    others = 'aria-label="Pages"'
    assert others not in guarded.test_client().get("/api/docs").text
    page = log_in(guarded, "viewer", VIEWER_PASSWORD).get("/api/docs").text
    assert others in page and 'href="/dashboard/workers"' in page


def test_what_nobody_thought_of_is_not_public(guarded: Flask) -> None:
    guarded.add_url_rule("/new", "new", lambda: "secret", methods=["GET", "POST"])
    http = guarded.test_client()
    assert http.get("/new").status_code == 401
    assert http.post("/new").status_code == 401


def test_an_unknown_path_is_404_for_everyone(guarded: Flask) -> None:
    assert guarded.test_client().get("/api/nothing").status_code == 404
    assert guarded.test_client().get("/nothing").status_code == 404
