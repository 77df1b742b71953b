"""What the forms do with one job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.queue.errors import JobNotFound, QueueUnavailable
from app.queue.inspector import Inspector
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.dashboard.forms import Page, follow

Submit = Callable[..., int]
Press = Callable[..., Page]


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        (Status.SCHEDULED, {"Cancel", "Delete"}),
        (Status.PENDING, {"Cancel", "Delete"}),
        (Status.PROCESSING, {"Cancel"}),
        (Status.SUCCESS, {"Delete"}),
        (Status.FAILED, {"Retry", "Cancel", "Delete"}),
        (Status.PERMANENTLY_FAILED, {"Retry", "Delete"}),
        (Status.CANCELLED, {"Retry", "Delete"}),
    ],
)
def test_a_page_offers_what_the_status_allows(
    http: FlaskClient, queue: JobQueue, submit: Submit, status: Status, buttons: set[str]
) -> None:
    bring_to(queue, submit, status)

    on_page = Page(http.get("/dashboard/jobs/1")).buttons
    in_row = Page(http.get("/dashboard")).buttons

    possible = {"Retry", "Cancel", "Delete"}
    assert on_page & possible == buttons
    in_row = {name for name in in_row if name.endswith(" job 1")}
    assert in_row == {f"{b} job 1" for b in buttons if b != "Delete" or status.is_final}


def bring_to(queue: JobQueue, submit: Submit, status: Status) -> None:
    """Job 1, in this status."""
    submit(**{"delay_seconds": 60} if status == Status.SCHEDULED else {})
    if status == Status.CANCELLED:
        queue.cancel(1)
    if status in (Status.SCHEDULED, Status.PENDING, Status.CANCELLED):
        return
    [job] = queue.claim("worker-1")
    if status == Status.SUCCESS:
        queue.complete(job)
    elif status != Status.PROCESSING:
        queue.fail(job, "451", retry_in_ms=60_000 if status == Status.FAILED else None)


def test_a_worker_that_was_asked_to_stop_is_not_asked_again(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    bring_to(queue, submit, Status.PROCESSING)
    queue.cancel(1)

    assert "Cancel" not in Page(http.get("/dashboard/jobs/1")).buttons


@pytest.mark.parametrize(
    ("url", "button"), [("/dashboard/jobs/1", "Retry"), ("/dashboard", "Retry job 1")]
)
def test_retry_makes_the_job_pending_and_leads_back(
    http: FlaskClient,
    queue: JobQueue,
    submit: Submit,
    inspector: Inspector,
    url: str,
    button: str,
) -> None:
    bring_to(queue, submit, Status.FAILED)

    response = Page(http.get(url)).form(button).send(http, button)

    assert (response.status_code, response.location) == (303, url)
    assert "Job 1 is pending again." in Page(http.get(url)).text
    assert inspector.job(1).status == Status.PENDING
    assert "pending again" not in Page(http.get(url)).text


def test_cancel_ends_a_waiting_job(press: Press, submit: Submit, inspector: Inspector) -> None:
    submit()

    assert "Job 1 is cancelled." in press("/dashboard", "Cancel job 1").text
    assert inspector.job(1).status == Status.CANCELLED


def test_cancel_asks_the_worker_of_a_processing_job(
    press: Press, queue: JobQueue, submit: Submit, inspector: Inspector
) -> None:
    bring_to(queue, submit, Status.PROCESSING)

    assert "its worker was asked to stop" in press("/dashboard/jobs/1", "Cancel").text
    assert inspector.job(1).cancel_requested


def test_an_action_that_came_too_late_says_why_not(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    form = Page(http.get("/dashboard/jobs/1")).form("Cancel")
    queue.complete(queue.claim("worker-1")[0])

    page = Page(follow(http, form.send(http, "Cancel")))

    assert "Cannot cancel job 1: it has succeeded." in page.text


def test_an_action_on_a_job_that_is_gone_says_so(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    form = Page(http.get("/dashboard")).form("Cancel job 1")
    queue.delete(1)

    page = Page(follow(http, form.send(http, "Cancel job 1")))

    assert "Job 1 not found." in page.text


def test_delete_asks_first(
    http: FlaskClient, press: Press, submit: Submit, inspector: Inspector
) -> None:
    submit()

    asked = press("/dashboard/jobs/1", "Delete")

    assert "Delete job 1?" in asked.text
    assert "can't be undone" in asked.text
    assert inspector.job(1).id == 1
    done = asked.form("Delete 1 job").send(http, "Delete 1 job")
    assert (done.status_code, done.location) == (303, "/dashboard")
    assert "Deleted 1 job." in Page(follow(http, done)).text
    with pytest.raises(JobNotFound):
        inspector.job(1)


def test_the_way_back_keeps_filters_sort_and_page(http: FlaskClient, submit: Submit) -> None:
    for _ in range(60):
        submit(priority="high")
    url = "/dashboard?priority=high&sort=created_at&order=asc&limit=50&page=2"

    response = Page(http.get(url)).form("Cancel job 60").send(http, "Cancel job 60")

    back = http.get(response.location)
    assert back.request.args.to_dict() == http.get(url).request.args.to_dict()


def test_redis_away_is_503(
    http: FlaskClient, queue: JobQueue, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit()
    form = Page(http.get("/dashboard/jobs/1")).form("Cancel")

    def away(job_id: int) -> bool:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(queue, "cancel", away)

    assert form.send(http, "Cancel").status_code == 503
