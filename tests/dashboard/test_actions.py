"""What the forms do with one job, with ticked rows and with the queue."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.queue.errors import JobNotFound, QueueUnavailable
from app.queue.inspector import Inspector
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.dashboard.forms import Page

Submit = Callable[..., int]
Press = Callable[..., Page]


@pytest.fixture
def inspector(app: Flask) -> Inspector:
    found: Inspector = app.extensions["inspector"]
    return found


@pytest.fixture
def press(http: FlaskClient) -> Press:
    """Presses a button of a page, and follows to where it leads."""

    def press(url: str, button: str, *, ticked: tuple[int, ...] = ()) -> Page:
        form = Page(http.get(url)).form(button)
        return Page(follow(http, form.send(http, button, ticked=ticked)))

    return press


def follow(http: FlaskClient, response: TestResponse) -> TestResponse:
    if response.status_code == 303:
        return http.get(response.location)
    return response


def give_up(queue: JobQueue, error: str = "550 no such user") -> None:
    [job] = queue.claim("worker-1")
    queue.fail(job, error, retry_in_ms=None)


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


def test_ticked_rows_are_confirmed_and_done_with_a_summary(
    http: FlaskClient, press: Press, queue: JobQueue, submit: Submit, inspector: Inspector
) -> None:
    for _ in range(4):
        submit()
    give_up(queue)
    give_up(queue)
    submit(delay_seconds=60)

    asked = press("/dashboard", "Retry selected rows", ticked=(1, 2, 3, 5, 99))

    assert "Retry 5 selected jobs?" in asked.text
    assert "2 can be retried; the other 3 will be skipped." in asked.text
    assert "Not found: 99" in asked.text
    assert inspector.counts()[Status.PERMANENTLY_FAILED] == 2
    done = Page(follow(http, asked.form("Retry 2 jobs").send(http, "Retry 2 jobs")))
    summary = "Retried 2 jobs. Skipped 3 (pending: 3; scheduled: 5; not found: 99)."
    assert summary in done.text
    assert inspector.counts()[Status.PENDING] == 4


def test_cancelling_ticked_rows_tells_cancelled_from_asked(
    http: FlaskClient, press: Press, queue: JobQueue, submit: Submit
) -> None:
    submit()
    submit()
    queue.claim("worker-1")

    asked = press("/dashboard", "Cancel selected rows", ticked=(1, 2))
    done = Page(follow(http, asked.form("Cancel 2 jobs").send(http, "Cancel 2 jobs")))

    assert "Cancelled 1 job. Asked the workers of 1 job to stop." in done.text


def test_a_summary_of_200_rows_fits_into_the_cookie(
    http: FlaskClient, press: Press, submit: Submit
) -> None:
    submit()
    ids = (1, *range(10**14, 10**14 + 199))

    asked = press("/dashboard", "Cancel selected rows", ticked=ids)
    done = Page(follow(http, asked.form("Cancel 1 job").send(http, "Cancel 1 job")))

    assert "Cancelled 1 job. Skipped 199 (not found:" in done.text
    assert "and 194 more" in done.text


def test_what_no_status_allows_cannot_be_started(press: Press, submit: Submit) -> None:
    submit()
    submit()

    one = press("/dashboard", "Retry selected rows", ticked=(1,))
    two = press("/dashboard", "Retry selected rows", ticked=(1, 2))

    assert "It cannot be retried now." in one.text
    assert "None of them can be retried now." in two.text
    assert not any(name.startswith("Retry") for name in one.buttons | two.buttons)


def test_no_ticked_row_never_means_all(
    http: FlaskClient, press: Press, submit: Submit, inspector: Inspector
) -> None:
    submit()

    assert "No rows are selected." in press("/dashboard", "Delete selected rows").text
    form = press("/dashboard", "Delete selected rows", ticked=(1,)).form("Delete 1 job")
    form.fields = [(name, value) for name, value in form.fields if name != "ids"]
    form.send(http, "Delete 1 job")
    assert inspector.job(1).id == 1


def test_redis_away_in_between_tells_what_was_done(
    http: FlaskClient,
    press: Press,
    queue: JobQueue,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit()
    submit()
    form = press("/dashboard", "Cancel selected rows", ticked=(1, 2)).form("Cancel 2 jobs")
    cancel = queue.cancel

    def cancel_once(job_id: int) -> bool:
        if job_id == 2:
            raise QueueUnavailable("gone")
        return cancel(job_id)

    monkeypatch.setattr(queue, "cancel", cancel_once)
    done = Page(follow(http, form.send(http, "Cancel 2 jobs")))

    assert "Cancelled 1 job. Then Redis went away" in done.text


def test_redis_away_is_503(
    http: FlaskClient, queue: JobQueue, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit()
    form = Page(http.get("/dashboard/jobs/1")).form("Cancel")

    def away(job_id: int) -> bool:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(queue, "cancel", away)

    assert form.send(http, "Cancel").status_code == 503


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ([("ids", "x"), ("selected", "retry")], "ids: must be ids of jobs."),
        ([("ids", "9" * 16), ("selected", "retry")], "ids: must be ids of jobs."),
        ([("ids", str(i)) for i in range(1, 202)] + [("selected", "retry")], "ids: at most 200"),
        ([("selected", "destroy")], "action: must be one of retry, cancel, delete."),
        ([], "action: must be one of retry, cancel, delete."),
        ([("all", "retry"), ("status", "done")], "status: must be one of"),
        ([("all", "retry"), ("back", "//evil.example")], "back: there is no such parameter."),
        ([("all", "retry"), ("origin", "//evil.example")], "ids: must be ids of jobs."),
    ],
)
def test_a_form_with_wrong_fields_is_400_and_says_why(
    http: FlaskClient, submit: Submit, fields: list[tuple[str, str]], problem: str
) -> None:
    submit()
    form = Page(http.get("/dashboard")).form("Retry selected rows")
    token = [pair for pair in form.fields if pair[0] == "csrf_token"]
    form.fields = token + fields
    form.buttons["Send"] = form.buttons["Retry selected rows"]
    form.buttons["Send"].name = None

    assert problem in Page(form.send(http, "Send"), code=400).text


def test_a_start_without_a_scope_starts_nothing(
    http: FlaskClient, press: Press, submit: Submit, inspector: Inspector
) -> None:
    submit()
    form = press("/dashboard", "Delete selected rows", ticked=(1,)).form("Delete 1 job")
    form.fields = [(name, value) for name, value in form.fields if name != "scope"]

    assert form.send(http, "Delete 1 job").status_code == 400
    assert inspector.job(1).id == 1


def test_the_queue_is_paused_and_resumed_from_the_page(
    press: Press, queue: JobQueue, submit: Submit
) -> None:
    submit()

    assert "The queue is paused:" in press("/dashboard", "Pause queue").text
    assert queue.claim("worker-1") == []
    assert "The queue goes on." in press("/dashboard", "Resume queue").text
    assert [job.id for job in queue.claim("worker-1")] == [1]


def test_pausing_twice_says_so(http: FlaskClient, queue: JobQueue, submit: Submit) -> None:
    submit()
    form = Page(http.get("/dashboard")).form("Pause queue")
    queue.pause()

    assert (
        "The queue was paused already." in Page(follow(http, form.send(http, "Pause queue"))).text
    )


HOSTILE = "<b>&\u202e{{ 7*7 }}\x07"


def test_what_strangers_wrote_is_text_where_one_confirms(
    http: FlaskClient, press: Press, queue: JobQueue
) -> None:
    queue.submit("noop", title=HOSTILE, people=("<u>@example.com",))

    form = Page(http.get("/dashboard")).form("Cancel selected rows")
    html = form.send(http, "Cancel selected rows", ticked=(1,)).text

    assert "&lt;b&gt;&amp;" in html and "{{ 7*7 }}" in html and "&lt;u&gt;@example.com" in html
    assert not [text for text in ("<b>&", "<u>@", "\u202e", "\x07") if text in html]


def test_the_audit_log_tells_who_did_what_to_which_jobs(
    app: Flask, http: FlaskClient, press: Press, submit: Submit
) -> None:
    submit()
    submit()
    press("/dashboard", "Cancel job 1")
    press("/dashboard", "Cancel job 2")
    asked = press("/dashboard", "Retry selected rows", ticked=(1, 2, 99))
    asked.form("Retry 2 jobs").send(http, "Retry 2 jobs")
    press("/dashboard", "Pause queue")

    log = [(e.who, e.action, e.subject) for e in app.extensions["audit"].recent(10)]

    who = "dashboard 127.0.0.1"
    assert log == [
        (who, "pause", "the queue"),
        (who, "retry", "jobs 1, 2"),
        (who, "cancel", "job 2"),
        (who, "cancel", "job 1"),
    ]


def test_what_was_done_stands_although_the_audit_log_is_away(
    app: Flask, press: Press, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit()

    def away(who: str, action: str, subject: str) -> None:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(app.extensions["audit"], "write", away)

    assert "Job 1 is cancelled." in press("/dashboard/jobs/1", "Cancel").text
