"""Every phase of a mail, and whatever a server may do in it: nothing ends otherwise than the
table of the documentation says."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace
from typing import Any

import pytest

from app.mail import client
from app.mail.client import Timeouts
from app.mail.outcomes import Phase
from app.queue.outcome import AttemptEnded, GiveBack, PermanentFailure, RetryLater
from tests.mail.scripted import (
    Action,
    Reply,
    ScriptedServer,
    Talk,
    close,
    drip,
    reset,
    silence,
    then_close,
)
from tests.mail.support import EXAMPLE, TIMEOUTS, MakeMailer, make_job

RECIPIENT = "user@example.com"
LONG = 1_000
NETWORK_SECONDS = (1.0, 30.0)  # for the first failure, base 30 s
DEFERRED_SECONDS = (150.0, 300.0)
SOON = 0.2

# The reply that is right in each phase, and the time-out that ends waiting for it.
PHASES = {
    "connect": ("220", "greeting"),  # connected, and the server speaks first
    "EHLO": ("250", "greeting"),
    "STARTTLS": ("220", "greeting"),
    "AUTH": ("235", "greeting"),
    "MAIL": ("250", "command"),
    "RCPT": ("250", "command"),
    "DATA": ("354", "data"),
    "body": ("452", "block"),  # nothing good can be said before the final dot
    ".": ("250", "final"),
}
CONNECTING = ("connect", "EHLO", "STARTTLS", "AUTH")
# A mail that fits into the kernel's buffers is out, dot and all, before the server has read it.
TOO_LARGE_FOR_BUFFERS = EXAMPLE | {
    "attachments": [{"filename": f"{n}.bin", "content": "AAEC" * 800_000} for n in range(2)]
}
BEHAVIOURS = ("close", "reset", "silence", "drip", "garbage", "long", "421", "4xx", "5xx")


def expected(phase: str, behaviour: str) -> str:
    if phase == "body" and behaviour in ("421", "4xx", "long"):
        return "deferred"
    if behaviour == "long" and phase != "STARTTLS":  # no TLS follows here
        return "sent"
    if behaviour in ("4xx", "5xx") and phase not in CONNECTING:
        return "deferred" if behaviour == "4xx" else "permanent"
    if behaviour == "5xx":
        return "configuration"
    if behaviour == "421" and phase in ("DATA", "."):
        return "deferred"
    if phase == "." and behaviour not in ("421", "long"):
        return "ambiguous"
    return "network"


def reply_for(phase: str, behaviour: str) -> Reply:
    code, _ = PHASES[phase]
    replies: dict[str, Reply] = {
        "close": close,
        "reset": reset,
        "silence": silence,
        "drip": drip(f"{code} " + "well " * 100, seconds=SOON / 4),
        "garbage": b"\xff\x00<html>\r\n",
        "long": "\r\n".join([f"{code}-all is well"] * (LONG - 1) + [f"{code} go on"]),
        "421": "421 4.3.2 Closing down",
        "4xx": "451 4.3.0 Not now",
        "5xx": "554 5.7.1 Never",
    }
    return replies[behaviour]


def within_message(what: Action, *, reads_on: bool = False) -> Action:
    """For "DATA": takes a part of the message and then does `what`. Unless it reads on, the kernel
    takes little more than that part either."""

    def action(talk: Talk) -> None:
        if not reads_on:
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        talk.say("354 Go on")
        talk.socket.recv(1_000)
        what(talk)

    return action


def stop_reading(talk: Talk) -> None:
    """Until the test is over."""
    talk.server.stopping.wait(30)
    close(talk)


def sip(seconds: float) -> Action:
    """Reads one byte at a time."""

    def action(talk: Talk) -> None:
        while not talk.server.stopping.wait(seconds) and talk.socket.recv(1):
            pass
        close(talk)

    return action


def say_and_read_on(reply: str) -> Action:
    """An answer before the message's end; reads to that end, and hangs up."""

    def action(talk: Talk) -> None:
        talk.say(reply)
        talk.read_message()
        close(talk)

    return action


def within_body(behaviour: str) -> Action:
    """What a server does when a part of the message has come."""
    actions: dict[str, Action] = {
        "close": close,
        "reset": reset,
        "silence": stop_reading,
        "drip": sip(SOON / 4),
        "garbage": then_close("\0<html>"),
    }
    if behaviour in actions:
        return within_message(actions[behaviour])
    reply = reply_for("body", behaviour)
    assert isinstance(reply, str)
    return within_message(say_and_read_on(reply), reads_on=True)


def ended(mailer: Any, payload: dict[str, Any] = EXAMPLE) -> tuple[str, AttemptEnded | None]:
    job = make_job(payload)
    try:
        result = mailer.send(job, job.data)
    except GiveBack as end:
        return "configuration", end
    except PermanentFailure as end:
        return "permanent", end
    except RetryLater as end:
        if end.reason.startswith("ambiguous:"):
            return "ambiguous", end
        low, high = DEFERRED_SECONDS
        return ("deferred" if low <= end.delay_seconds <= high else "network"), end
    assert result["recipients"][RECIPIENT]["status"] == "sent"
    return "sent", None


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize(
    ("phase", "pipelining"),
    [(phase, False) for phase in PHASES] + [(phase, True) for phase in ("MAIL", "RCPT", "DATA")],
)
def test_whatever_a_server_does_in_a_phase_ends_as_the_table_says(
    make_mailer: MakeMailer, phase: str, behaviour: str, pipelining: bool
) -> None:
    offered = ("8BITMIME", "AUTH PLAIN", "STARTTLS")
    payload, script = EXAMPLE, {phase: reply_for(phase, behaviour)}
    if phase == "body":
        payload, script = TOO_LARGE_FOR_BUFFERS, {"DATA": within_body(behaviour)}
    server = ScriptedServer(
        script,
        extensions=(*offered, "PIPELINING") if pipelining else offered,
    )
    settings: dict[str, str] = {}
    if phase == "AUTH":
        settings = {"smtp_username": "me", "smtp_password": "secret"}
    elif phase == "STARTTLS":
        settings = {"smtp_security": "starttls"}
    with server:
        mailer = make_mailer(server, timeouts=timeouts_for(phase, behaviour), **settings)
        outcome, end = ended(mailer, payload)
        wanted = expected(phase, behaviour)
        assert outcome == wanted, end and end.reason
        if phase == "body" and end and wanted == "network":
            assert end.reason.endswith(f"while {Phase.BODY}")
        came_through = phase == "."
        if wanted == "sent" or came_through:  # it may be read after the client gave up
            server.wait_until(lambda: len(server.mails) == 1)
        else:
            assert server.mails == []
        if end and not isinstance(end, GiveBack):
            assert end.result["recipients"][RECIPIENT]["status"] == STATUS[wanted]
            assert end.reason.isprintable()


def test_a_server_that_does_not_even_take_the_connection_is_retried(
    make_mailer: MakeMailer,
) -> None:
    """Its queue of connections is full: nothing comes back. Refused: test_outcomes.py."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with contextlib.suppress(TimeoutError):
            for _ in range(8):
                waiting.enter_context(socket.create_connection(("127.0.0.1", port), SOON))
        mailer = make_mailer(
            smtp_host="127.0.0.1", smtp_port=port, timeouts=replace(TIMEOUTS, connect=SOON)
        )
        outcome, end = ended(mailer)
    assert outcome == "network" and end
    assert end.reason == f"Timed out, while {Phase.CONNECT}"


@pytest.mark.parametrize("phase", ["MAIL", "."])
def test_a_step_may_take_longer_than_one_look_at_the_clock(
    make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    monkeypatch.setattr(client, "_LOOK_UP_SECONDS", 0.01)
    with ScriptedServer({phase: drip("250 2.0.0 Ok", seconds=0.03)}) as server:
        assert ended(make_mailer(server))[0] == "sent"


STATUS = {
    "network": "pending",
    "ambiguous": "pending",
    "deferred": "deferred",
    "permanent": "bounced",
}


def timeouts_for(phase: str, behaviour: str) -> Timeouts:
    if behaviour not in ("silence", "drip") and (phase, behaviour) != ("STARTTLS", "long"):
        return TIMEOUTS
    return replace(TIMEOUTS, **{PHASES[phase][1]: SOON})


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_whatever_a_server_says_to_a_goodbye_the_mail_is_sent(
    make_mailer: MakeMailer, behaviour: str
) -> None:
    script: dict[str, Any] = {"QUIT": reply_for("RCPT", behaviour)}
    with ScriptedServer(script) as server:
        mailer = make_mailer(server, timeouts=replace(TIMEOUTS, quit=SOON))
        assert ended(mailer)[0] == "sent"
        mailer.close()
        server.wait_until(lambda: server.heard("QUIT") == 1)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_whatever_a_server_says_to_a_reset_the_next_mail_goes_out(
    make_mailer: MakeMailer, behaviour: str
) -> None:
    script: dict[str, Any] = {"RCPT": ["550 5.1.1 No"], "RSET": [reply_for("RCPT", behaviour)]}
    with ScriptedServer(script) as server:
        waits = behaviour in ("silence", "drip")
        mailer = make_mailer(server, timeouts=replace(TIMEOUTS, check=SOON) if waits else TIMEOUTS)
        assert ended(mailer)[0] == "permanent"
        assert ended(mailer)[0] == "sent"
        server.wait_until(lambda: server.heard("RSET") == 1)
        assert len(server.mails) == 1
        assert server.connections == (1 if behaviour == "long" else 2)
