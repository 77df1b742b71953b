"""What the forms do with ticked rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.queue.errors import QueueUnavailable
from app.queue.inspector import Inspector
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.dashboard.forms import Page, follow

Submit = Callable[..., int]
Press = Callable[..., Page]


def give_up(queue: JobQueue, error: str = "550 no such user") -> None:
    [job] = queue.claim("worker-1")
    queue.fail(job, error, retry_in_ms=None)


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


HOSTILE = "<b>&\u202e{{ 7*7 }}\x07"


def test_what_strangers_wrote_is_text_where_one_confirms(
    http: FlaskClient, press: Press, queue: JobQueue
) -> None:
    queue.submit("noop", title=HOSTILE, people=("<u>@example.com",))

    form = Page(http.get("/dashboard")).form("Cancel selected rows")
    html = form.send(http, "Cancel selected rows", ticked=(1,)).text

    assert "&lt;b&gt;&amp;" in html and "{{ 7*7 }}" in html and "&lt;u&gt;@example.com" in html
    assert not [text for text in ("<b>&", "<u>@", "\u202e", "\x07") if text in html]
