"""What a page says of a mail whose recipients are on the suppression list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.jobqueue import JobQueue
from app.queue.suppressions import Suppression
from tests.dashboard.forms import Page

TO = ("ada@example.com", "grace@example.com")


@pytest.fixture
def failed_mail(app: Flask, queue: JobQueue) -> str:
    """The address of a mail's page; it was given up."""
    mail = {"to": list(TO), "subject": "Hello", "message": "Good morning"}
    job_id = queue.submit("send_email", mail, title="Hello", people=TO)
    queue.fail(queue.claim("w1")[0], "550 5.1.1 No such user", retry_in_ms=None)
    return f"/dashboard/jobs/{job_id}"


def suppress(app: Flask, *addresses: str) -> None:
    for address in addresses:
        app.extensions["suppressions"].add(Suppression(address, "No such mailbox.", 1.0, "a test"))


@pytest.mark.parametrize(
    ("addresses", "note"),
    [
        (
            TO[:1],
            "ada@example.com is on the suppression list, so an attempt goes to the others alone.",
        ),
        (
            TO,
            "ada@example.com, grace@example.com are on the suppression list, so an attempt fails "
            "for good.",
        ),
    ],
)
def test_page_and_retry_say_what_the_list_makes_of_the_mail(
    http: FlaskClient, app: Flask, failed_mail: str, addresses: tuple[str, ...], note: str
) -> None:
    suppress(app, *addresses)

    shown = http.get(failed_mail)
    answer = Page(shown).form("Retry").send(http, "Retry")
    after = http.get(answer.location).text

    assert note in shown.text
    assert f"is pending again. {note}" in after


def test_nothing_is_said_of_others_or_with_the_list_switched_off(
    http: FlaskClient, app: Flask, queue: JobQueue, failed_mail: str
) -> None:
    assert "suppression list" not in http.get(failed_mail).text

    suppress(app, *TO)
    other = queue.submit("web_noop", people=TO)
    assert "suppression list" not in http.get(f"/dashboard/jobs/{other}").text
    app.extensions["config"] = replace(app.extensions["config"], mail_suppression=False)
    assert "suppression list" not in http.get(failed_mail).text
