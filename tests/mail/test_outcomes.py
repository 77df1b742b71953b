"""Each row of the outcome table, against a server that really answers so."""

from __future__ import annotations

import pytest

from app.mail import outcomes
from app.mail.client import Timeouts
from app.mail.outcomes import Decision, Phase, SmtpFailure, decide
from tests.mail.scripted import Reply, ScriptedServer, Talk, close, reset, silence
from tests.mail.sending import (
    DEFERRED_SECONDS,
    IMPATIENT,
    NETWORK_SECONDS,
    RECIPIENT,
    permanent,
    retry,
    send,
    status_of,
)
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, Clock, MakeMailer, make_job

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
        server.wait_until(lambda: server.heard("QUIT") == 1)


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
