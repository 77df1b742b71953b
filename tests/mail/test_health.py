"""What a breaker asks: can the server be used at all?"""

from __future__ import annotations

from typing import Any

import pytest

from app.mail.outcomes import SmtpFailure
from app.queue.outcome import AttemptEnded
from tests.mail.scripted import ScriptedServer, close
from tests.mail.support import Clock, MakeMailer, make_job


def send(mailer: Any) -> None:
    job = make_job()
    mailer.send(job, job.data)


@pytest.mark.parametrize(
    ("script", "settings", "is_configuration"),
    [
        ({"connect": close}, {}, False),
        ({"connect": "421 Too busy"}, {}, False),
        ({"EHLO": "554 Go away"}, {}, True),
        ({}, {"smtp_security": "starttls"}, True),
        ({"AUTH": "535 5.7.8 No"}, {"smtp_username": "me"}, True),
        ({"MAIL": "530 5.7.0 Authentication required"}, {}, True),
    ],
)
def test_failures_that_concern_all_mail_are_counted(
    make_mailer: MakeMailer, script: Any, settings: Any, is_configuration: bool
) -> None:
    clock = Clock(now=70)
    with ScriptedServer(script, extensions=("AUTH PLAIN",)) as server:
        mailer = make_mailer(server, monotonic=clock, **settings)
        # A failure that a person must mend opens the breaker: nothing is tried after it.
        for failures in range(1, 2 if is_configuration else 4):
            with pytest.raises(AttemptEnded) as raised:
                send(mailer)
            assert mailer.health.failures_in_a_row == failures
    assert mailer.health.reason == raised.value.reason
    assert mailer.health.is_configuration is is_configuration
    assert mailer.health.failed_at == 70


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", ["550 5.1.1 No", "451 4.3.0 Later", close])
def test_failures_of_one_mail_are_not(make_mailer: MakeMailer, where: str, reply: Any) -> None:
    with ScriptedServer({where: reply}) as server:
        mailer = make_mailer(server)
        with pytest.raises(AttemptEnded):
            send(mailer)
    assert mailer.health.failures_in_a_row == 0


def test_a_mail_that_gets_through_ends_the_count(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"connect": [close, close]}) as server:
        mailer = make_mailer(server)
        for _ in range(2):
            with pytest.raises(AttemptEnded):
                send(mailer)
        assert mailer.health.failures_in_a_row == 2
        send(mailer)
    assert mailer.health.failures_in_a_row == 0


def test_a_probe_finds_out_without_a_mail(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"connect": [close]}) as server:
        mailer = make_mailer(server)
        with pytest.raises(SmtpFailure):
            mailer.probe()
        assert mailer.health.failures_in_a_row == 1
        mailer.probe()
        assert mailer.health.failures_in_a_row == 0
        send(mailer)  # on the connection of the probe
        assert (server.connections, server.heard("MAIL")) == (2, 1)


def test_the_local_mailbox_is_always_well(make_mailer: MakeMailer) -> None:
    mailer = make_mailer()
    mailer.probe()
    assert mailer.health.failures_in_a_row == 0
