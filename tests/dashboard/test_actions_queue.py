"""What the forms do with the queue, and what the audit log says of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import JobQueue
from tests.dashboard.forms import Page, follow

Submit = Callable[..., int]
Press = Callable[..., Page]


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
