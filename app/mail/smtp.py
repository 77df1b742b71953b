"""One SMTP connection, spoken step by step, so that the phase of every failure is known.

`smtplib` gives the primitives; its `sendmail` would hide whether a mail was perhaps delivered.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.mail.addresses import Address
from app.mail.client import Server, SmtpClient
from app.mail.outcomes import CONNECTING, BadReply, NotOffered, Phase, Reply, SmtpFailure
from app.mail.text import clean_reply

_BLOCK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is sent, and to whom: Bcc recipients stand only here."""

    sender: Address
    recipients: tuple[Address, ...]
    content: bytes  # CRLF line ends, not dot-stuffed
    needs_smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the server said of each recipient (by `Address.email`), and of the message.

    `final` is None when no recipient was accepted, so that no message was sent.
    """

    answers: dict[str, Reply]
    final: Reply | None


class Unsendable(Exception):
    """This server can never take this mail: it is too large or needs SMTPUTF8."""


class Connection:
    """An open, greeted, encrypted and logged-in connection. Used by one thread at a time."""

    def __init__(self, server: Server, monotonic: Callable[[], float]) -> None:
        """Connects. Raises SmtpFailure."""
        self._server = server
        self._monotonic = monotonic
        self._client = SmtpClient(server, monotonic)
        self._phase = Phase.CONNECT
        self.pid = os.getpid()
        self.opened_at = self.used_at = monotonic()
        self.messages = 0
        self.needs_rset = False
        with self._failures({}):
            self._open()

    def send(self, envelope: Envelope) -> Accepted:
        """One transaction (RFC 5321 section 3.3).

        Raises Unsendable, and SmtpFailure; after it the connection is still good when the server
        answered with anything but 421.
        """
        options = self._mail_options(envelope)
        answers: dict[str, Reply] = {}
        self.messages += 1
        self.needs_rset = True
        with self._failures(answers):
            final = self._transact(envelope, options, answers)
        self.needs_rset = final is None
        self.used_at = self._monotonic()
        return Accepted(answers, final)

    def is_alive(self) -> bool:
        """Asks the server, and clears what a refused mail left behind. Closes itself if not."""
        self._phase = Phase.MAIL
        try:
            with self._failures({}):
                self._client.seconds = self._server.timeouts.check
                self._expect(2, self._client.docmd("RSET"))
        except SmtpFailure:
            self.close()
            return False
        self.needs_rset = False
        return True

    @property
    def is_open(self) -> bool:
        return self._client.sock is not None

    def quit(self) -> None:
        """Says goodbye; whatever comes back, the connection is closed."""
        try:
            self._client.seconds = self._server.timeouts.quit
            self._client.docmd("QUIT")
        except (OSError, ValueError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        self._client.close()

    def _open(self) -> None:
        server, client, timeouts = self._server, self._client, self._server.timeouts
        client.dial()
        if server.security == "tls":
            self._at(Phase.STARTTLS, timeouts.greeting)
            client.encrypt()
        self._at(Phase.GREETING, timeouts.greeting)
        self._expect(2, client.getreply())
        self._ehlo()
        if server.security == "starttls":
            self._at(Phase.STARTTLS, timeouts.greeting)
            if not client.has_extn("starttls"):
                raise NotOffered("The server does not offer STARTTLS, which SMTP_SECURITY requires")
            self._expect(2, client.docmd("STARTTLS"))
            client.encrypt()
            # What was said before the encryption counts for nothing (RFC 3207 section 4.2).
            self._ehlo()
        if server.username:
            self._at(Phase.AUTH, timeouts.greeting)
            self._log_in(server.username, server.password)

    def _ehlo(self) -> None:
        self._at(Phase.EHLO, self._server.timeouts.greeting)
        self._expect(2, self._client.ehlo())

    def _log_in(self, username: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616) or LOGIN, one try: a second one could lock the account."""
        client = self._client
        offered = client.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            answer = client.docmd(
                "AUTH", f"PLAIN {_base64(f'{chr(0)}{username}{chr(0)}{password}')}"
            )
        elif "LOGIN" in offered:
            self._expect(3, client.docmd("AUTH", "LOGIN"))
            self._expect(3, client.docmd(_base64(username)))
            answer = client.docmd(_base64(password))
        else:
            raise NotOffered("The server does not offer a login with AUTH PLAIN or AUTH LOGIN")
        self._expect(2, answer)

    def _mail_options(self, envelope: Envelope) -> str:
        """The parameters of MAIL FROM that the server understands."""
        client, size = self._client, len(envelope.content)
        options = ""
        if client.has_extn("size"):
            limit = client.esmtp_features["size"].strip()
            if limit.isdigit() and 0 < int(limit) < size:
                raise Unsendable(f"The mail has {size} bytes; the server takes {limit}.")
            options += f" SIZE={size}"
        if envelope.needs_smtputf8:
            if not client.has_extn("smtputf8"):
                raise Unsendable("An address is not ASCII, and the server offers no SMTPUTF8.")
            options += " SMTPUTF8 BODY=8BITMIME"
        return options

    def _transact(
        self, envelope: Envelope, options: str, answers: dict[str, Reply]
    ) -> Reply | None:
        client, timeouts = self._client, self._server.timeouts
        client.command_encoding = "utf-8" if envelope.needs_smtputf8 else "ascii"
        self._at(Phase.MAIL, timeouts.command)
        self._expect(2, client.docmd("MAIL", f"FROM:<{envelope.sender.wire}>{options}"))
        self._phase = Phase.RCPT
        for recipient in envelope.recipients:
            code, text = client.docmd("RCPT", f"TO:<{recipient.wire}>")
            if code == 421 or not _is_final(code):
                self._expect(2, (code, text))
            answers[recipient.email] = Reply(code, clean_reply(text))
        if not any(reply.code < 300 for reply in answers.values()):
            return None
        self._at(Phase.DATA, timeouts.data)
        self._expect(3, client.docmd("DATA"))
        self._send_content(envelope.content)
        client.seconds = timeouts.final
        return self._expect(2, client.getreply())

    def _send_content(self, content: bytes) -> None:
        """Everything, and the final dot. Leaves the phase at REPLY when the dot may be out."""
        self._at(Phase.BODY, self._server.timeouts.block)
        stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        *blocks, last = (
            stuffed[start : start + _BLOCK_BYTES] for start in range(0, len(stuffed), _BLOCK_BYTES)
        )
        try:
            for block in blocks:
                self._client.send(block)
            self._phase = Phase.REPLY
            self._client.send(last)
        except OSError as error:
            # The dot is the last thing handed over, so a send that failed has not sent it.
            self._phase = Phase.BODY
            self._read_early_refusal(error)
            raise

    def _read_early_refusal(self, error: OSError) -> None:
        """A server that hangs up in the middle may have said why."""
        if isinstance(error, TimeoutError):
            return
        try:
            self._client.seconds = self._server.timeouts.quit
            answer = self._client.getreply()
        except OSError:
            return
        self.close()
        self._expect(2, answer)

    def _at(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._client.seconds = seconds

    @staticmethod
    def _expect(first_digit: int, answer: tuple[int, bytes]) -> Reply:
        code, text = answer
        reply = Reply(code, clean_reply(text))
        if code // 100 == first_digit:
            return reply
        if code >= 400:
            raise _Refused(reply)
        raise BadReply(f"The server's answer makes no sense here: {reply}")

    @contextmanager
    def _failures(self, answers: dict[str, Reply]) -> Iterator[None]:
        """Turns whatever happens into SmtpFailure, and closes the connection at any doubt."""
        try:
            yield
        except _Refused as refusal:
            if refusal.reply.code == 421 or self._phase in CONNECTING:
                self.close()
            raise SmtpFailure(self._phase, reply=refusal.reply, answers=answers) from None
        except (OSError, ValueError) as error:
            self.close()
            raise SmtpFailure(self._phase, cause=error, answers=answers) from error
        except BaseException as error:
            # A job's time-out can strike anywhere. After the dot it must not hide the doubt.
            self.close()
            if self._phase is Phase.REPLY:
                raise SmtpFailure(self._phase, cause=error, answers=answers) from error
            raise


class _Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def _is_final(code: int) -> bool:
    return code < 300 or code >= 400


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")
