"""One SMTP connection: opened, greeted, encrypted and logged in, and closed in good manners.

`smtplib` gives the primitives; its `sendmail` would hide whether a mail was perhaps delivered.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from app.mail.client import Server
from app.mail.dialogue import Dialogue
from app.mail.outcomes import NotOffered, Phase, SmtpFailure
from app.mail.transaction import Transaction, Unsendable


class Connection:
    """An open, greeted, encrypted and logged-in connection. Used by one thread at a time."""

    def __init__(self, server: Server, monotonic: Callable[[], float]) -> None:
        """Connects. Raises SmtpFailure."""
        self._server = server
        self._monotonic = monotonic
        self._dialogue = Dialogue(server, monotonic)
        self.pid = os.getpid()
        self.opened_at = self.used_at = monotonic()
        self.messages = 0
        self.needs_rset = False
        with self._dialogue.failures({}):
            self._open()

    def run(self, transaction: Transaction) -> None:
        """Raises what `Transaction.run` does.

        After SmtpFailure the connection is still good when the server answered with anything but
        421; `is_open` tells.
        """
        self.messages += 1
        self.needs_rset = True
        try:
            transaction.run(self._dialogue, self._server.timeouts)
        except (SmtpFailure, Unsendable):
            raise
        except Exception:
            # The message may not be sent: the server need not wait for it any longer.
            self.is_alive()
            raise
        self.needs_rset = transaction.final is None
        self.used_at = self._monotonic()

    def is_alive(self) -> bool:
        """Asks the server, and clears what a refused mail left behind. Closes itself if not."""
        self._dialogue.at(Phase.MAIL, self._server.timeouts.check)
        try:
            with self._dialogue.failures({}):
                self._dialogue.ask(2, "RSET")
        except SmtpFailure:
            self.close()
            return False
        self.needs_rset = False
        return True

    @property
    def is_open(self) -> bool:
        return self._dialogue.client.sock is not None

    def quit(self) -> None:
        """Says goodbye; whatever comes back, the connection is closed."""
        try:
            self._dialogue.client.seconds = self._server.timeouts.quit
            self._dialogue.client.docmd("QUIT")
        except (OSError, ValueError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        self._dialogue.close()

    def _open(self) -> None:
        server, dialogue, seconds = self._server, self._dialogue, self._server.timeouts.greeting
        client = dialogue.client
        client.dial()
        if server.security == "tls":
            dialogue.at(Phase.STARTTLS, seconds)
            client.encrypt()
        dialogue.at(Phase.GREETING, seconds)
        dialogue.expect(2, client.getreply())
        self._ehlo()
        if server.security == "starttls":
            dialogue.at(Phase.STARTTLS, seconds)
            if not client.has_extn("starttls"):
                raise NotOffered("The server does not offer STARTTLS, which SMTP_SECURITY requires")
            dialogue.ask(2, "STARTTLS")
            client.encrypt()
            # What was said before the encryption counts for nothing (RFC 3207 section 4.2).
            self._ehlo()
        if server.username:
            dialogue.at(Phase.AUTH, seconds)
            self._log_in(server.username, server.password)

    def _ehlo(self) -> None:
        self._dialogue.at(Phase.EHLO, self._server.timeouts.greeting)
        self._dialogue.expect(2, self._dialogue.client.ehlo())

    def _log_in(self, username: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616) or LOGIN, one try: a second one could lock the account."""
        dialogue = self._dialogue
        offered = dialogue.client.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            dialogue.ask(2, "AUTH", f"PLAIN {_base64(f'{chr(0)}{username}{chr(0)}{password}')}")
        elif "LOGIN" in offered:
            dialogue.ask(3, "AUTH", "LOGIN")
            dialogue.ask(3, _base64(username))
            dialogue.ask(2, _base64(password))
        else:
            raise NotOffered("The server does not offer a login with AUTH PLAIN or AUTH LOGIN")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")
