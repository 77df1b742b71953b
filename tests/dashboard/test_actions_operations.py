"""Acting on all jobs that match: asked again, then done in the background, watched and stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.operations import Operations
from tests.dashboard.forms import Page

Submit = Callable[..., int]


@pytest.fixture
def operations(app: Flask) -> Operations:
    found: Operations = app.extensions["operations"]
    return found


def confirmation(http: FlaskClient, url: str, button: str) -> Page:
    return Page(Page(http.get(url)).form(button).send(http, button))


def run(queue: JobQueue) -> None:
    """What a worker does between its jobs."""
    while queue.operate():
        pass


def start(http: FlaskClient, url: str, button: str, yes: str) -> TestResponse:
    return confirmation(http, url, button).form(yes).send(http, yes)


def test_all_that_match_are_counted_and_shown_before_anything_happens(
    app: Flask, http: FlaskClient, submit: Submit, operations: Operations
) -> None:
    for _ in range(12):
        submit(priority="high", tags=["news"])
    submit()
    inspector: Inspector = app.extensions["inspector"]
    before = inspector.revision()

    page = confirmation(http, "/dashboard?priority=high", "Cancel all 12 that match")

    assert "Cancel all 12 jobs that match?" in page.text
    assert "Those with priority high" in page.text
    assert "The first 10 of them" in page.text
    assert inspector.revision() == before
    assert operations.recent(10) == []


@pytest.mark.parametrize(
    ("url", "button", "says"),
    [
        ("/dashboard", "Retry all 3 jobs", "1 can be retried; the other 2 will be skipped."),
        ("/dashboard", "Delete all 3 jobs", "No filter is set: these are all jobs there are."),
        ("/dashboard?tag=red", "Retry all 2 that match", "None of them can be retried now."),
        ("/dashboard?priority=low", "Retry all 2 that match", "None of them can be retried now."),
    ],
)
def test_the_confirmation_says_how_many_can_be_done(
    http: FlaskClient, submit: Submit, url: str, button: str, says: str
) -> None:
    submit(tags=["red"])
    submit(tags=["red"])
    submit(priority="high")
    http.post("/api/job/3/cancel")

    assert says in confirmation(http, url, button).text


def test_a_filter_by_status_offers_only_what_it_allows(http: FlaskClient, submit: Submit) -> None:
    submit()

    buttons = Page(http.get("/dashboard?status=pending")).buttons

    assert {"Cancel all 1 that match", "Delete all 1 that match"} <= buttons
    assert "Retry all 1 that match" not in buttons
    assert "Retry selected rows" not in buttons


def test_a_confirmed_action_starts_one_operation_with_the_same_filters(
    app: Flask, http: FlaskClient, submit: Submit, operations: Operations
) -> None:
    for _ in range(3):
        submit(priority="high", tags=["news"])
    url = "/dashboard?priority=high&tag=news&status=pending&q=%23news&job_type=web_noop&limit=25"

    response = start(http, url, "Cancel all 3 that match", "Cancel 3 jobs")

    [operation] = operations.recent(10)
    assert response.status_code == 303
    assert response.location == f"/dashboard/operations/{operation.id}"
    assert operation.action == "cancel"
    assert operation.by == "dashboard 127.0.0.1"
    query = operation.query
    assert (query.status, query.priority, query.tag) == (Status.PENDING, "high", "news")
    assert (query.q, query.job_type) == ("#news", "web_noop")
    [entry] = app.extensions["audit"].recent(10)
    assert (entry.who, entry.action) == ("dashboard 127.0.0.1", "cancel")
    assert entry.subject.startswith("all jobs with status pending, job type web_noop")
    assert entry.subject.endswith(f"operation {operation.id}")


def test_the_page_of_an_operation_shows_who_what_and_how_far(
    http: FlaskClient, submit: Submit, operations: Operations
) -> None:
    submit()
    query = JobQuery(status=Status.FAILED, tag="<b>news")
    operation_id = operations.start("retry", query, "ada <i>")

    page = Page(http.get(f"/dashboard/operations/{operation_id}"))

    assert "Retry jobs that match" in page.text
    assert "Running" in page.text
    assert "ada <i>" in page.text
    assert "tag <b>news" in page.text
    assert "Stop" in page.buttons


def test_a_finished_operation_tells_what_became_of_the_jobs(
    app: Flask, http: FlaskClient, queue: JobQueue, submit: Submit, operations: Operations
) -> None:
    for _ in range(3):
        submit()
    queue.cancel(1)

    response = start(http, "/dashboard", "Cancel all 3 jobs", "Cancel 2 jobs")
    run(queue)
    page = Page(http.get(response.location))

    assert "Done 3 of 3 100 %" in page.text
    assert "Cancelled 2 Skipped 1" in page.text
    assert app.extensions["inspector"].counts()[Status.CANCELLED] == 3


def test_the_partial_polls_until_the_operation_has_ended(
    http: FlaskClient, queue: JobQueue, submit: Submit, operations: Operations
) -> None:
    submit()
    operation_id = operations.start("retry", JobQuery(), "tests")
    url = f"/dashboard/partials/operation/{operation_id}"

    assert f'hx-get="{url}"' in http.get(url).text
    run(queue)
    ended = http.get(url).text
    assert "hx-get" not in ended
    assert "Stop" not in Page(http.get(f"/dashboard/operations/{operation_id}")).buttons


def test_an_operation_is_stopped_and_says_so(
    app: Flask, http: FlaskClient, submit: Submit, operations: Operations
) -> None:
    submit()
    operation_id = operations.start("cancel", JobQuery(), "tests")
    url = f"/dashboard/operations/{operation_id}"
    form = Page(http.get(url)).form("Stop")

    response = form.send(http, "Stop")

    assert (response.status_code, response.location) == (303, url)
    assert operations.get(operation_id).status == "stopped"
    assert "Stop" not in Page(http.get(url)).buttons
    [entry] = app.extensions["audit"].recent(10)
    assert (entry.action, entry.subject) == ("stop", f"operation {operation_id}")
    form.send(http, "Stop")
    assert "already." in Page(http.get(url)).text
    assert len(app.extensions["audit"].recent(10)) == 1


def test_operations_are_listed_newest_first(
    http: FlaskClient, submit: Submit, operations: Operations
) -> None:
    submit()
    first = operations.start("retry", JobQuery(tag="<b>red"), "ada <i>")
    second = operations.start("delete", JobQuery(), "tests")

    for url in ("/dashboard/operations", "/dashboard/partials/operations"):
        html = http.get(url).text
        assert html.index(f'/operations/{second}"') < html.index(f'/operations/{first}"')
        assert "&lt;b&gt;red" in html and "<b>red" not in html
        assert "ada &lt;i&gt;" in html


def test_no_operations_yet_says_how_to_start_one(http: FlaskClient) -> None:
    assert "No operations in the last week" in Page(http.get("/dashboard/operations")).text


@pytest.mark.parametrize("operation_id", ["7", "0", "99999999999999999999"])
def test_an_unknown_operation_is_404_with_a_way_on(http: FlaskClient, operation_id: str) -> None:
    page = Page(http.get(f"/dashboard/operations/{operation_id}"), code=404)

    assert "No such operation" in page.text
