"""Mails over SMTP, on connections that are kept and used again."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable

from app.mail.client import Server, Timeouts
from app.mail.health import Health
from app.mail.outcomes import Phase, SmtpFailure, concerns_all_mail
from app.mail.settings import MailSettings, MailSettingsError
from app.mail.smtp import Connection
from app.mail.transaction import Transaction

CONNECTION_MAX_AGE_SECONDS = 300
CHECK_AFTER_IDLE_SECONDS = 5
_USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class SmtpTransport:
    """Sends through one server. Any number of threads may; each uses a connection of its own."""

    name = "smtp"

    def __init__(
        self, server: Server, messages_per_connection: int, monotonic: Callable[[], float]
    ) -> None:
        self._server = server
        self._messages_max = messages_per_connection
        self._monotonic = monotonic
        # The connections no thread uses now, latest used last. `append` and `pop` are atomic.
        self._idle: list[Connection] = []
        self._closed = False
        self.health = Health(monotonic)

    def send(self, transaction: Transaction) -> None:
        """Raises what `Transaction.run` does."""
        try:
            self._send(transaction)
        except SmtpFailure as failure:
            if concerns_all_mail(failure):
                self.health.failed(failure)
            raise
        self.health.succeeded()

    def probe(self) -> None:
        """Connects and logs in, as for a mail, and keeps the connection. Raises SmtpFailure."""
        try:
            connection = Connection(self._server, self._monotonic)
        except SmtpFailure as failure:
            self.health.failed(failure)
            raise
        self.health.succeeded()
        self._give_back(connection)

    def close(self) -> None:
        """Says goodbye on idle connections; those in use are closed when their mail is through."""
        self._closed = True
        self._quit_idle(older_than_seconds=-1)

    def _send(self, transaction: Transaction) -> None:
        connection = self._take()
        if connection:
            try:
                return self._send_over(connection, transaction)
            except SmtpFailure as failure:
                if not _connection_was_dead(failure):
                    raise
        return self._send_over(Connection(self._server, self._monotonic), transaction)

    def _send_over(self, connection: Connection, transaction: Transaction) -> None:
        try:
            connection.run(transaction)
        except Exception:
            self._give_back(connection)
            raise
        except BaseException:
            # Interrupted between two steps; the server may wait for the next.
            connection.close()
            raise
        self._give_back(connection)

    def _take(self) -> Connection | None:
        """A connection that most probably still lives, or None."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.pid != os.getpid():
                # Inherited through a fork: its other end is the parent's conversation.
                connection.close()
            elif self._is_worn_out(connection):
                connection.quit()
            elif not self._needs_check(connection) or connection.is_alive():
                return connection
        return None

    def _give_back(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        if self._closed or self._is_worn_out(connection):
            connection.quit()
            return
        self._idle.append(connection)
        self._quit_idle(older_than_seconds=CONNECTION_MAX_AGE_SECONDS)

    def _is_worn_out(self, connection: Connection) -> bool:
        age = self._monotonic() - connection.opened_at
        return connection.messages >= self._messages_max or age > CONNECTION_MAX_AGE_SECONDS

    def _needs_check(self, connection: Connection) -> bool:
        idle = self._monotonic() - connection.used_at
        return connection.needs_rset or idle > CHECK_AFTER_IDLE_SECONDS

    def _quit_idle(self, older_than_seconds: float) -> None:
        """The longest unused stand first; they would keep the server's slots for nothing."""
        while self._idle:
            age = self._monotonic() - self._idle[0].opened_at
            if age <= older_than_seconds:
                return
            with contextlib.suppress(IndexError):
                self._idle.pop(0).quit()


def smtp_transport(
    settings: MailSettings,
    sender_domain: str,
    timeouts: Timeouts,
    monotonic: Callable[[], float],
) -> SmtpTransport:
    """The transport that the settings ask for. Raises MailSettingsError."""
    server = Server(
        host=settings.smtp_host,
        port=settings.smtp_port or _USUAL_PORTS[settings.smtp_security],
        security=settings.smtp_security,
        # Never asked of the system: `socket.getfqdn` can hang for minutes.
        helo_name=settings.smtp_helo_name or sender_domain,
        username=settings.smtp_username,
        password=settings.smtp_password,
        tls=None if settings.smtp_security == "none" else _tls_context(settings.smtp_ca_file),
        timeouts=timeouts,
    )
    return SmtpTransport(server, settings.smtp_max_messages_per_connection, monotonic)


def _tls_context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MailSettingsError(f"SMTP_CA_FILE: {ca_file} can't be used: {reason}") from None


def _connection_was_dead(failure: SmtpFailure) -> bool:
    """The server had closed an idle connection; nothing was lost by finding out."""
    return failure.phase is Phase.MAIL and failure.code in (None, 421)
