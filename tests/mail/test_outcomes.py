"""Each row of the outcome table, against a server that really answers so."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from app.mail import outcomes
from app.mail.client import Timeouts
from app.mail.mailer import Mailer
from app.mail.outcomes import Decision, Phase, SmtpFailure, decide
from app.queue.job import Job
from app.queue.outcome import GiveBack, PermanentFailure, RetryLater
from tests.mail.servers import (
    Reply,
    ScriptedServer,
    SmtpSink,
    Talk,
    close,
    drip,
    reset,
    silence,
    then_close,
)
from tests.mail.support import EXAMPLE, TIMEOUTS, Clock, MakeMailer, make_job

RECIPIENT = "user@example.com"
IMPATIENT = replace(TIMEOUTS, greeting=0.2, command=0.2, data=0.2, final=0.2)
NETWORK_SECONDS = (1.0, 30.0)  # for the first failure, base 30 s
DEFERRED_SECONDS = (150.0, 300.0)


def send(mailer: Mailer, job: Job) -> dict[str, Any]:
    return mailer.send(job, job.data)


def retry(mailer: Mailer, job: Job, seconds: tuple[float, float]) -> RetryLater:
    with pytest.raises(RetryLater) as raised:
        send(mailer, job)
    low, high = seconds
    assert low <= raised.value.delay_seconds <= high
    return raised.value


def permanent(mailer: Mailer, job: Job) -> PermanentFailure:
    with pytest.raises(PermanentFailure) as raised:
        send(mailer, job)
    return raised.value


def status_of(result: Any, email: str = RECIPIENT) -> str:
    return result["recipients"][email]["status"]


# ── Sent ────────────────────────────────────────────────────────────────────────────────────


def test_the_documented_example_arrives(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        result = send(make_mailer(sink), make_job())
        [mail] = sink.wait_for(1)

    assert mail.sender == "mailroom@localhost"
    assert mail.recipients == [RECIPIENT]
    assert mail.message["Subject"] == EXAMPLE["subject"]
    assert mail.message.get_content().strip() == EXAMPLE["message"]
    assert result["transport"] == "smtp"
    assert result["message_id"] == mail.message["Message-ID"]
    assert result["recipients"][RECIPIENT] == {
        "status": "sent",
        "code": 250,
        "reply": "2.0.0 Ok: queued as 1",
    }


@pytest.mark.parametrize("reply", ["250 OK", "251 Will forward", "252 Cannot verify"])
def test_a_recipient_accepted_in_any_way_is_sent_to(make_mailer: MakeMailer, reply: str) -> None:
    with ScriptedServer({"RCPT": reply}) as server:
        assert status_of(send(make_mailer(server), make_job())) == "sent"


@pytest.mark.parametrize("goodbye", [close, reset, "500 What?", "garbage"])
def test_what_comes_after_the_acknowledgement_changes_nothing(
    make_mailer: MakeMailer, goodbye: Reply
) -> None:
    with ScriptedServer({"QUIT": goodbye}) as server:
        mailer = make_mailer(server)
        assert status_of(send(mailer, make_job())) == "sent"
        mailer.close()
        assert server.heard("QUIT") == 1


# ── Connecting ──────────────────────────────────────────────────────────────────────────────


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


# ── MAIL FROM, RCPT TO, DATA ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("end", [close, reset, silence, "garbage", "354 What?"])
def test_a_connection_lost_before_the_message_is_retried(
    make_mailer: MakeMailer, where: str, end: Reply
) -> None:
    if where == "DATA" and end == "354 What?":
        end = "250 What?"
    with ScriptedServer({where: end}) as server:
        failure = retry(make_mailer(server, timeouts=IMPATIENT), make_job(), NETWORK_SECONDS)
        assert server.mails == []
    assert status_of(failure.result) == "pending"
    assert failure.smtp_code is None


@pytest.mark.parametrize("where", ["MAIL", "RCPT"])
def test_a_server_that_closes_down_is_retried_soon(make_mailer: MakeMailer, where: str) -> None:
    with ScriptedServer({where: "421 4.3.2 Closing down"}) as server:
        failure = retry(make_mailer(server), make_job(), NETWORK_SECONDS)
    assert failure.smtp_code == 421
    assert status_of(failure.result) == "pending"


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", ["450 4.2.0 Greylisted", "451 4.3.0 Error", "452 4.2.2 Full"])
def test_a_mail_refused_for_now_waits_long(make_mailer: MakeMailer, where: str, reply: str) -> None:
    with ScriptedServer({where: reply}) as server:
        failure = retry(make_mailer(server), make_job(), DEFERRED_SECONDS)
    assert failure.smtp_code == int(reply[:3])
    assert reply in failure.reason
    assert failure.result["recipients"][RECIPIENT] == {
        "status": "deferred",
        "code": int(reply[:3]),
        "reply": reply[4:],
    }


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply", ["550 5.1.1 No such user", "553 Bad", "554 5.7.1 Spam"])
def test_a_mail_refused_for_good_is_not_tried_again(
    make_mailer: MakeMailer, where: str, reply: str
) -> None:
    with ScriptedServer({where: reply}) as server:
        failure = permanent(make_mailer(server), make_job())
    assert failure.smtp_code == int(reply[:3])
    assert reply in failure.reason
    assert status_of(failure.result) == "bounced"


def test_the_reason_says_what_the_enhanced_code_means(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "550 5.1.1 <user>: unknown"}) as server:
        failure = permanent(make_mailer(server), make_job())
    assert failure.reason == f"{RECIPIENT}: No such mailbox (550 5.1.1 <user>: unknown)"


def test_too_many_recipients_is_no_bounce(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "552 Too many recipients"}) as server:
        failure = retry(make_mailer(server), make_job(), DEFERRED_SECONDS)
    assert status_of(failure.result) == "deferred"


def test_a_wait_the_server_asks_for_is_kept(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "450 4.7.1 Greylisted, try again in 900 seconds"}) as server:
        retry(make_mailer(server), make_job(), (900, 990))


def test_a_connection_lost_within_the_message_is_retried(make_mailer: MakeMailer) -> None:
    def hang_up_within(talk: Talk) -> None:
        talk.say("354 Go on")
        talk.socket.recv(1_000)
        reset(talk)

    payload = EXAMPLE | {"message": "A long text.\n" * 70_000}
    with ScriptedServer({"DATA": hang_up_within}) as server:
        failure = retry(make_mailer(server), make_job(payload), NETWORK_SECONDS)
    assert status_of(failure.result) == "pending"


# ── After the final dot ─────────────────────────────────────────────────────────────────────


def test_a_refusal_after_the_dot_with_421_is_certain(make_mailer: MakeMailer) -> None:
    with ScriptedServer({".": then_close("421 4.3.2 Closing down")}) as server:
        failure = retry(make_mailer(server), make_job(), DEFERRED_SECONDS)
    assert not failure.reason.startswith("ambiguous:") and not failure.unconfirmed


@pytest.mark.parametrize("end", [close, reset, silence, "garbage", "354 What?", "25"])
def test_no_answer_after_the_dot_is_ambiguous(make_mailer: MakeMailer, end: Reply) -> None:
    with ScriptedServer({".": end}) as server:
        mailer = make_mailer(server, timeouts=IMPATIENT)
        failure = retry(mailer, make_job(), NETWORK_SECONDS)
        assert len(server.mails) == 1
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


# ── Other ends ──────────────────────────────────────────────────────────────────────────────


def test_a_mail_too_large_for_the_server_is_not_sent(make_mailer: MakeMailer) -> None:
    with ScriptedServer(extensions=("SIZE 300",)) as server:
        failure = permanent(make_mailer(server), make_job(EXAMPLE | {"message": "x" * 1_000}))
        assert server.heard("MAIL") == 0
    assert "300" in failure.reason


def test_an_address_that_needs_smtputf8_is_refused_without_it(make_mailer: MakeMailer) -> None:
    payload = EXAMPLE | {"to": "dömi@example.com"}
    with ScriptedServer() as server:
        failure = permanent(make_mailer(server), make_job(payload))
        assert server.heard("MAIL") == 0
    assert "SMTPUTF8" in failure.reason


def test_a_mail_that_expired_is_not_sent(make_mailer: MakeMailer) -> None:
    clock = Clock(now=2_000_000_000)
    with ScriptedServer() as server:
        mailer = make_mailer(server, clock=clock)
        failure = permanent(mailer, make_job(EXAMPLE | {"expires_at": "2033-05-18T05:33:20+02:00"}))
        assert server.connections == 0
        clock.now -= 1
        assert status_of(
            send(mailer, make_job(EXAMPLE | {"expires_at": "2033-05-18T05:33:20+02:00"}))
        )
    assert "2033-05-18T03:33:20+00:00" in failure.reason


def test_a_reply_is_shown_without_control_characters(make_mailer: MakeMailer) -> None:
    reply = b"550 5.1.1 \x1b[31mred\x07\xff\x00 " + b"x" * 3_000 + b"\r\n"
    with ScriptedServer({"RCPT": reply}) as server:
        failure = permanent(make_mailer(server), make_job())
    text = failure.result["recipients"][RECIPIENT]["reply"]
    assert text.isprintable()
    assert len(text.encode()) <= 512


def test_time_outs_follow_the_rfc() -> None:
    assert (Timeouts().connect, Timeouts().greeting, Timeouts().command) == (30, 60, 300)
    assert (Timeouts().data, Timeouts().block, Timeouts().final) == (120, 180, 600)


def test_every_phase_and_answer_has_a_row() -> None:
    for phase in Phase:
        for code in (*range(400, 600), None):
            failure = SmtpFailure(phase, reply=None, cause=OSError())
            if code is not None:
                failure = SmtpFailure(phase, reply=outcomes.Reply(code, "x"))
            decision = decide(failure)
            assert (decision is Decision.AMBIGUOUS) == (phase is Phase.REPLY and code is None)
