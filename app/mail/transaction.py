"""One mail transaction (RFC 5321 section 3.3): sender, recipients, message, acknowledgement."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from app.mail.addresses import Address
from app.mail.client import SmtpClient, Timeouts
from app.mail.dialogue import Dialogue, Refused
from app.mail.outcomes import Phase, Reply, is_too_many
from app.mail.text import clean_reply

_BLOCK_BYTES = 65_536
_NOT_IN_COMMAND = re.compile(r"[\s<>]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is sent, and to whom: Bcc recipients stand only here."""

    sender: Address
    recipients: tuple[Address, ...]
    content: bytes  # CRLF line ends, 7-bit but for addresses that need SMTPUTF8, not dot-stuffed
    needs_smtputf8: bool = False


class Unsendable(Exception):
    """No server, or not this one, can ever take this mail: too large, or needs SMTPUTF8."""


def always() -> None:
    """The `before_data` of a mail that nobody can take back."""


@dataclass(eq=False)
class Transaction:
    """An envelope on its way. What it holds is certain, however `run` ends.

    `before_data` is called when a recipient was accepted, just before DATA: after that nobody can
    tell what a crash leaves behind. It raises when the message may not be sent.
    """

    envelope: Envelope
    before_data: Callable[[], None] = always
    answers: dict[str, Reply] = field(default_factory=dict)  # of each recipient, by Address.email
    final: Reply | None = None  # the acknowledgement: the message is the server's now

    @property
    def accepted(self) -> int:
        """How many recipients the server took."""
        return sum(reply.code < 300 for reply in self.answers.values())

    @property
    def surplus(self) -> tuple[Address, ...]:
        """Those who were too many beside the accepted ones: for another transaction, now."""
        return tuple(
            recipient
            for recipient in self.envelope.recipients
            if (answer := self.answers.get(recipient.email)) and is_too_many(answer.code)
        )

    def run(self, dialogue: Dialogue, timeouts: Timeouts) -> None:
        """Ends without `final` when no recipient was accepted: then no message was sent.

        Raises Unsendable, SmtpFailure, and what `before_data` raises.
        """
        client, envelope = dialogue.client, self.envelope
        commands = _commands(envelope, _mail_options(client, envelope))
        with dialogue.failures(self.answers):
            self._name_everyone(dialogue, commands, timeouts)
        if not self.accepted:
            return
        self.before_data()
        with dialogue.failures(self.answers):
            dialogue.at(Phase.DATA, timeouts.data)
            dialogue.ask(3, "DATA")
            _send_content(dialogue, envelope.content, timeouts)
            client.seconds = timeouts.final
            self.final = dialogue.expect(2, client.getreply())

    def _name_everyone(self, dialogue: Dialogue, commands: list[bytes], timeouts: Timeouts) -> None:
        """MAIL FROM and each RCPT TO, in one go where the server offers that."""
        client, (first, *others) = dialogue.client, commands
        together = client.takes_several_commands
        dialogue.at(Phase.MAIL, timeouts.command)
        client.send(b"".join(commands) if together else first)
        try:
            dialogue.expect(2, client.getreply())
        except Refused as refusal:
            if together and refusal.reply.code != 421:
                _read_past(dialogue, len(others), timeouts.check)
            raise
        dialogue.phase = Phase.RCPT
        for recipient, command in zip(self.envelope.recipients, others, strict=True):
            if not together:
                client.send(command)
            code, text = client.getreply()
            if code == 421 or 300 <= code < 400:
                dialogue.expect(2, (code, text))
            self.answers[recipient.email] = Reply(code, clean_reply(text))


def _commands(envelope: Envelope, options: str) -> list[bytes]:
    """MAIL FROM, then RCPT TO for each recipient. Raises Unsendable."""
    addresses = [envelope.sender.wire, *(recipient.wire for recipient in envelope.recipients)]
    if any(not wire.isprintable() or _NOT_IN_COMMAND.search(wire) for wire in addresses):
        raise Unsendable("An address holds what can't stand in a command.")
    first, *others = addresses
    commands = [f"MAIL FROM:<{first}>{options}\r\n", *(f"RCPT TO:<{to}>\r\n" for to in others)]
    return [command.encode("utf-8") for command in commands]


def _mail_options(client: SmtpClient, envelope: Envelope) -> str:
    """The parameters of MAIL FROM that the server understands. Raises Unsendable.

    A message is 7-bit, so that no relay must rewrite it and break its signature; only addresses
    that need SMTPUTF8 (RFC 6531) stand in it as they are.
    """
    features, size = client.esmtp_features, len(envelope.content)
    options = ""
    if "size" in features:
        limit = features["size"].strip()
        if limit.isdigit() and 0 < int(limit) < size:
            raise Unsendable(f"The mail has {size} bytes; the server takes {limit}.")
        options += f" SIZE={size}"
    if envelope.needs_smtputf8:
        if "smtputf8" not in features:
            raise Unsendable("An address is not ASCII, and the server offers no SMTPUTF8.")
        options += " SMTPUTF8"
        if "8bitmime" in features:
            options += " BODY=8BITMIME"
    return options


def _read_past(dialogue: Dialogue, replies: int, seconds: float) -> None:
    """The answers to commands that were already sent when the one before them was refused."""
    dialogue.client.seconds = seconds
    try:
        for _ in range(replies):
            dialogue.client.getreply()
    except OSError:
        dialogue.close()


def _send_content(dialogue: Dialogue, content: bytes, timeouts: Timeouts) -> None:
    """Everything, and the final dot. Leaves the phase at REPLY when the dot may be out."""
    dialogue.at(Phase.BODY, timeouts.block)
    stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    *blocks, last = (
        stuffed[start : start + _BLOCK_BYTES] for start in range(0, len(stuffed), _BLOCK_BYTES)
    )
    try:
        for block in blocks:
            dialogue.client.send(block)
        dialogue.phase = Phase.REPLY
        dialogue.client.send(last)
    except OSError as error:
        # The dot is the last thing handed over, so a send that failed has not sent it.
        dialogue.phase = Phase.BODY
        _read_early_refusal(dialogue, error, timeouts.quit)
        raise


def _read_early_refusal(dialogue: Dialogue, error: OSError, seconds: float) -> None:
    """A server that hangs up in the middle may have said why."""
    if isinstance(error, TimeoutError):
        return
    try:
        dialogue.client.seconds = seconds
        answer = dialogue.client.getreply()
    except OSError:
        return
    dialogue.close()
    dialogue.expect(2, answer)
