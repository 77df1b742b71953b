"""Every phase of a mail, and whatever a server may do in it: nothing ends otherwise than the
table of the documentation says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.mail.client import Timeouts
from app.queue.outcome import AttemptEnded, GiveBack, PermanentFailure, RetryLater
from tests.mail.servers import Reply, ScriptedServer, close, drip, reset, silence
from tests.mail.support import TIMEOUTS, MakeMailer, make_job

RECIPIENT = "user@example.com"
LONG = 1_000
NETWORK_SECONDS = (1.0, 30.0)  # for the first failure, base 30 s
DEFERRED_SECONDS = (150.0, 300.0)
SOON = 0.2

# The reply that is right in each phase, and the time-out that ends waiting for it.
PHASES = {
    "connect": ("220", "greeting"),
    "EHLO": ("250", "greeting"),
    "STARTTLS": ("220", "greeting"),
    "AUTH": ("235", "greeting"),
    "MAIL": ("250", "command"),
    "RCPT": ("250", "command"),
    "DATA": ("354", "data"),
    ".": ("250", "final"),
}
CONNECTING = ("connect", "EHLO", "STARTTLS", "AUTH")
BEHAVIOURS = ("close", "reset", "silence", "drip", "garbage", "long", "421", "4xx", "5xx")


def expected(phase: str, behaviour: str) -> str:
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


def ended(mailer: Any) -> tuple[str, AttemptEnded | None]:
    job = make_job()
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
    offered = ("SIZE 1000000", "8BITMIME", "AUTH PLAIN", "STARTTLS")
    server = ScriptedServer(
        {phase: reply_for(phase, behaviour)},
        extensions=(*offered, "PIPELINING") if pipelining else offered,
    )
    settings: dict[str, str] = {}
    if phase == "AUTH":
        settings = {"smtp_username": "me", "smtp_password": "secret"}
    elif phase == "STARTTLS":
        settings = {"smtp_security": "starttls"}
    with server:
        mailer = make_mailer(server, timeouts=timeouts_for(phase, behaviour), **settings)
        outcome, end = ended(mailer)
        wanted = expected(phase, behaviour)
        assert outcome == wanted, end and end.reason
        came_through = phase == "."
        assert len(server.mails) == (wanted == "sent" or came_through)
        if end and not isinstance(end, GiveBack):
            assert end.result["recipients"][RECIPIENT]["status"] == STATUS[wanted]
            assert end.reason.isprintable()


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
        mailer = make_mailer(server, timeouts=replace(TIMEOUTS, check=SOON * 2))
        assert ended(mailer)[0] == "permanent"
        assert ended(mailer)[0] == "sent"
        assert (server.heard("RSET"), len(server.mails)) == (1, 1)
        assert server.connections == (1 if behaviour == "long" else 2)
