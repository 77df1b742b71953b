"""The outcome table: what can happen before the first word of a mail."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from app.mail.outcomes import Decision, Phase, SmtpFailure, decide
from app.queue.outcome import GiveBack
from tests.mail.scripted import Reply, ScriptedServer, close, drip, reset, silence
from tests.mail.sending import (
    IMPATIENT,
    NETWORK_SECONDS,
    RECIPIENT,
    retry,
    send,
    status_of,
)
from tests.mail.support import MakeMailer, make_job


def test_a_refused_connection_is_retried(make_mailer: MakeMailer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    mailer = make_mailer(smtp_host="127.0.0.1", smtp_port=port)

    assert "refused" in retry(mailer, make_job(), NETWORK_SECONDS).reason


@pytest.mark.parametrize("where", ["connect", "EHLO"])
@pytest.mark.parametrize(
    "reply", [close, reset, silence, "421 Too busy", "450 Not now", "HTTP/1.1 400 Bad Request"]
)
def test_a_server_that_fails_before_the_mail_is_retried(
    make_mailer: MakeMailer, where: str, reply: Reply
) -> None:
    with ScriptedServer({where: reply}) as server:
        failure = retry(make_mailer(server, timeouts=IMPATIENT), make_job(), NETWORK_SECONDS)

        assert server.heard("MAIL") == 0
    assert status_of(failure.result) == "pending"


def test_a_server_that_drips_bytes_does_not_hold_the_worker(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"connect": drip("220 " + "slow " * 100, seconds=0.05)}) as server:
        failure = retry(make_mailer(server, timeouts=IMPATIENT), make_job(), NETWORK_SECONDS)
    assert "Timed out" in failure.reason


def test_a_reply_of_a_thousand_lines_is_read(make_mailer: MakeMailer) -> None:
    long = "\r\n".join(["250-all is well"] * 1_000 + ["250 really"])
    with ScriptedServer({".": long}) as server:
        result = send(make_mailer(server), make_job())
    assert len(result["recipients"][RECIPIENT]["reply"].encode()) <= 512


def test_a_reply_without_end_is_cut_off(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "x" * 100_000}) as server:
        failure = retry(make_mailer(server), make_job(), NETWORK_SECONDS)
    assert "too long" in failure.reason


@pytest.mark.parametrize("where", ["connect", "EHLO"])
@pytest.mark.parametrize("reply", ["554 Go away", "500 No"])
def test_a_server_that_wants_nobody_costs_no_attempt(
    make_mailer: MakeMailer, where: str, reply: str
) -> None:
    with (
        ScriptedServer({where: reply}) as server,
        pytest.raises(GiveBack) as raised,
    ):
        send(make_mailer(server, retry_base_seconds=3.0), make_job())
    assert 2.4 <= raised.value.delay_seconds <= 3.6  # until the breaker's first probe
    assert reply in raised.value.reason


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example"])
def test_a_host_that_does_not_exist_costs_no_attempt(
    make_mailer: MakeMailer, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_name(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if "invalid" in host:  # the machine's resolver may be slow, or away
        monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(GiveBack):
        send(make_mailer(smtp_host=host, smtp_port=25), make_job())


def test_a_resolver_that_is_away_is_retried() -> None:
    away = SmtpFailure(Phase.CONNECT, cause=socket.gaierror(socket.EAI_AGAIN, "Try again"))
    assert decide(away) is Decision.NETWORK


@pytest.mark.parametrize("code", [530, 534, 535, 538])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_refused_login_costs_no_attempt(
    make_mailer: MakeMailer, code: int, mechanism: str
) -> None:
    script: dict[str, Any] = {"AUTH": f"{code} 5.7.8 Bad credentials"}
    with ScriptedServer(script, extensions=(f"AUTH {mechanism}",)) as server:
        mailer = make_mailer(server, smtp_username="me", smtp_password="wrong")
        with pytest.raises(GiveBack) as raised:
            send(mailer, make_job())
        assert server.heard("AUTH") == 1
        assert server.heard("MAIL") == 0
    assert str(code) in raised.value.reason


def test_a_login_that_fails_for_now_is_retried(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"AUTH": "454 4.7.0 Later"}, extensions=("AUTH PLAIN",)) as server:
        mailer = make_mailer(server, smtp_username="me", smtp_password="right")
        retry(mailer, make_job(), NETWORK_SECONDS)


def test_a_login_the_server_does_not_offer_costs_no_attempt(make_mailer: MakeMailer) -> None:
    with ScriptedServer() as server, pytest.raises(GiveBack):
        send(make_mailer(server, smtp_username="me", smtp_password="x"), make_job())


def test_a_server_that_wants_a_login_first_costs_no_attempt(make_mailer: MakeMailer) -> None:
    with (
        ScriptedServer({"MAIL": "530 5.7.0 Authentication required"}) as server,
        pytest.raises(GiveBack),
    ):
        send(make_mailer(server), make_job())
