"""What an answer, or none, means for a mail: the table of the SMTP client, one row a rule."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """How far a mail had come. The values complete the sentence "… while <phase>"."""

    CONNECT = "connecting"
    GREETING = "waiting for the greeting"
    EHLO = "saying EHLO"
    STARTTLS = "starting TLS"
    AUTH = "logging in"
    MAIL = "naming the sender (MAIL FROM)"
    RCPT = "naming a recipient (RCPT TO)"
    DATA = "asking to send the message (DATA)"
    BODY = "sending the message"
    REPLY = "waiting for the answer after the message"


class Decision(StrEnum):
    NETWORK = "network"  # try again soon
    CONFIGURATION = "configuration"  # no mail can go out until someone mends it
    DEFERRED = "deferred"  # try again much later: greylisting, a full mailbox
    PERMANENT = "permanent"
    AMBIGUOUS = "ambiguous"  # perhaps delivered, perhaps not


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer. `text` is clean: one line, at most 512 bytes."""

    code: int
    text: str

    def __str__(self) -> str:
        meaning = _meaning(self.text)
        return f"{meaning} ({self.code} {self.text})" if meaning else f"{self.code} {self.text}"


class BadReply(OSError):
    """What the server sent is no SMTP reply, or not one that may stand here."""


class NotOffered(OSError):
    """The server does not offer what the settings require (STARTTLS, AUTH)."""


@dataclass(eq=False)
class SmtpFailure(Exception):
    """A mail that did not go out. Exactly one of `reply` and `cause` is set.

    `answers` holds what the server said of each recipient (by `Address.email`) before that.
    """

    phase: Phase
    reply: Reply | None = None
    cause: BaseException | None = None
    answers: dict[str, Reply] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.reply:
            return f"{self.reply}, while {self.phase.value}"
        return f"{_describe(self.cause)}, while {self.phase.value}"

    @property
    def code(self) -> int | None:
        return self.reply.code if self.reply else None


# Until here nothing depends on the mail.
CONNECTING = (Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH)
# "Authentication required", "encryption required" (RFC 4954 section 6, RFC 3207 section 4).
_LOGIN_CODES = (530, 538)


def decide(failure: SmtpFailure) -> Decision:
    """The row of the table that this failure belongs to."""
    if failure.code is None:
        return _without_reply(failure.phase, failure.cause)
    return _with_reply(failure.phase, failure.code)


def _without_reply(phase: Phase, cause: BaseException | None) -> Decision:
    if phase is Phase.REPLY:
        return Decision.AMBIGUOUS
    if phase in CONNECTING and _is_configuration(cause):
        return Decision.CONFIGURATION
    return Decision.NETWORK


def _with_reply(phase: Phase, code: int) -> Decision:
    if phase in CONNECTING:
        return Decision.NETWORK if code < 500 else Decision.CONFIGURATION
    if phase is Phase.MAIL and code in _LOGIN_CODES:
        return Decision.CONFIGURATION
    if code == 421 and phase in (Phase.MAIL, Phase.RCPT):
        return Decision.NETWORK
    # After the dot too: a refusal that was read is certain, so the next attempt is no duplicate.
    return Decision.DEFERRED if code < 500 else Decision.PERMANENT


def concerns_all_mail(failure: SmtpFailure) -> bool:
    """Whether no other mail would have fared better: the server is away, or wants no login."""
    return failure.phase in CONNECTING or decide(failure) is Decision.CONFIGURATION


def recipient_is_deferred(code: int) -> bool:
    """Whether a recipient refused with this code may be accepted later."""
    return code < 500 or is_too_many(code)


def is_too_many(code: int) -> bool:
    """Whether this answer to RCPT TO can mean "too many recipients in one transaction".

    Old servers say 552 (RFC 5321 section 4.5.3.1.10). It may also be one full mailbox: whoever is
    refused so again as the first of another transaction is deferred.
    """
    return code in (452, 552)


def _is_configuration(cause: BaseException | None) -> bool:
    if isinstance(cause, socket.gaierror):
        return cause.errno != socket.EAI_AGAIN
    if isinstance(cause, ssl.SSLError):
        # The peer hanging up during the handshake is the network's; all else is certificate,
        # name, or a port that does not speak TLS.
        return not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    # ValueError: a host name, user name or password that can't be written on the wire.
    return isinstance(cause, NotOffered | ValueError)


def _describe(cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The server's certificate is not valid: {cause.verify_message}"
    if isinstance(cause, socket.gaierror):
        return f"The server's name can't be resolved: {cause.strerror}"
    if isinstance(cause, TimeoutError):
        return "Timed out"
    if isinstance(cause, ConnectionRefusedError):
        return "Connection refused"
    if isinstance(cause, ConnectionError):
        return "The connection was lost"
    return str(cause) or type(cause).__name__


# RFC 3463 and the IANA registry of enhanced status codes: what people most often need to know.
_MEANINGS = {
    "1.1": "No such mailbox",
    "1.2": "No such domain",
    "1.3": "Not a valid address",
    "1.6": "The mailbox has moved",
    "1.8": "The sender's domain is not accepted",
    "1.10": "The domain accepts no mail",
    "2.1": "The mailbox is disabled",
    "2.2": "The mailbox is full",
    "2.3": "The message is too large",
    "3.4": "The message is too large",
    "4.2": "The connection failed",
    "5.3": "Too many recipients",
    "7.1": "Refused by policy",
    "7.8": "The login was refused",
    "7.23": "SPF failed",
    "7.25": "The server's address has no matching name",
    "7.26": "SPF and DKIM failed",
}
# The same subjects mean less when the refusal is for now: 4.7.1 is what greylisting says.
_MEANINGS_FOR_NOW = {
    "1.1": "The mailbox can't be checked now",
    "1.2": "The domain can't be found now",
    "1.8": "The sender's domain can't be checked now",
    "2.1": "The mailbox is not available now",
    "7.1": "Refused for now, often greylisting",
}
_ENHANCED_CODE = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})\b")


def _meaning(text: str) -> str:
    found = _ENHANCED_CODE.match(text)
    if not found:
        return ""
    meaning = _MEANINGS.get(found[2], "")
    return _MEANINGS_FOR_NOW.get(found[2], meaning) if found[1] == "4" else meaning
