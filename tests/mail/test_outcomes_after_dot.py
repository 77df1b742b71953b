"""The outcome table: what can happen once the whole mail is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.mail.scripted import Reply, ScriptedServer, close, reset, silence, then_close
from tests.mail.sending import (
    DEFERRED_SECONDS,
    NETWORK_SECONDS,
    permanent,
    retry,
    send,
    status_of,
)
from tests.mail.support import EXAMPLE, TIMEOUTS, MakeMailer, make_job

# With what comes before the dot it is patient: that is not what is tried.
IMPATIENT = replace(TIMEOUTS, final=0.2)


def test_a_refusal_after_the_dot_with_421_is_certain(make_mailer: MakeMailer) -> None:
    with ScriptedServer({".": then_close("421 4.3.2 Closing down")}) as server:
        failure = retry(make_mailer(server), make_job(), DEFERRED_SECONDS)
    assert not failure.reason.startswith("ambiguous:") and not failure.unconfirmed


@pytest.mark.parametrize("end", [close, reset, silence, "garbage", "354 What?", "25"])
def test_no_answer_after_the_dot_is_ambiguous(make_mailer: MakeMailer, end: Reply) -> None:
    with ScriptedServer({".": end}) as server:
        mailer = make_mailer(server, timeouts=IMPATIENT)
        failure = retry(mailer, make_job(), NETWORK_SECONDS)
        server.wait_until(lambda: len(server.mails) == 1)
    assert failure.reason.startswith("ambiguous:") and failure.unconfirmed
    assert status_of(failure.result) == "pending"


@pytest.mark.parametrize("end", [close, silence])
def test_an_ambiguous_mail_on_hold_waits_for_a_person(make_mailer: MakeMailer, end: Reply) -> None:
    with ScriptedServer({".": end}) as server:
        mailer = make_mailer(server, timeouts=IMPATIENT)
        failure = permanent(mailer, make_job(EXAMPLE | {"on_ambiguous": "hold"}))
    assert failure.reason.startswith("ambiguous:") and failure.unconfirmed


class JobTimeout(BaseException):
    """As the worker raises it in the job's thread."""


@pytest.mark.parametrize("where", ["RCPT", "DATA"])
def test_a_jobs_time_out_before_the_dot_closes_the_connection(
    make_mailer: MakeMailer, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as server:
        mailer = make_mailer(server)
        _raise_while_reading(monkeypatch, server, where)
        with pytest.raises(JobTimeout):
            send(mailer, make_job())
        monkeypatch.undo()
        assert status_of(send(mailer, make_job())) == "sent"
        assert server.connections == 2


def test_a_jobs_time_out_after_the_dot_is_ambiguous(
    make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as server:
        mailer = make_mailer(server)
        _raise_while_reading(monkeypatch, server, ".")
        failure = retry(mailer, make_job(), NETWORK_SECONDS)
        server.wait_until(lambda: len(server.mails) == 1)
    assert failure.reason.startswith("ambiguous:")


def _raise_while_reading(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedServer, where: str
) -> None:
    """JobTimeout comes in the middle of reading the answer to this command."""
    from app.mail.client import SmtpClient

    usual = SmtpClient.getreply

    def getreply(client: Any) -> tuple[int, bytes]:
        answer = usual(client)
        if server.mails if where == "." else server.heard(where):
            raise JobTimeout
        return answer

    monkeypatch.setattr(SmtpClient, "getreply", getreply)
