"""A real SMTP server on 127.0.0.1 that behaves, and keeps what it gets."""

from __future__ import annotations

import asyncio
import email
import email.message
import email.policy
import threading
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.mail.certificates import Certificates


@dataclass
class ReceivedMail:
    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    username: str | None
    connection: int  # 1 for the first one made

    @property
    def message(self) -> email.message.EmailMessage:
        parsed = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        return parsed


class SmtpSink:
    """Takes every mail, in a thread of its own; `with SmtpSink(...) as sink`.

    `tls` is "starttls" or "tls" and needs `certificates`; `auth` is the only (user, password) it
    lets in. `replies` replaces its answers: by command ("MAIL", "RCPT", ".") or by recipient,
    each one reply for ever or a list of replies, used up one by one ("" for the usual one).
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        tls: str | None = None,
        certificates: Certificates | None = None,
        auth: tuple[str, str] | None = None,
        replies: dict[str, str | list[str]] | None = None,
        size_limit: int = 33_554_432,
    ) -> None:
        self.mails: list[ReceivedMail] = []
        self.connections = 0
        self.port = 0
        self.needs_login = auth is not None
        self.is_implicit_tls = tls == "tls"
        self._tls, self._auth = tls, auth
        self._context = certificates.context() if certificates else None
        self._replies = dict(replies or {})
        self._size_limit = size_limit
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> SmtpSink:
        self._thread.start()
        self._server = self._call(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def wait_for(self, count: int, seconds: float = 30) -> list[ReceivedMail]:
        """The mails, once there are so many."""
        with self._arrived:
            enough = self._arrived.wait_for(lambda: len(self.mails) >= count, seconds)
        assert enough, f"{len(self.mails)} of {count} mails within {seconds} s"
        return self.mails

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        implicit = self._context if self._tls == "tls" else None
        return await self._loop.create_server(self._session, self.host, 0, ssl=implicit)

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _session(self) -> SMTP:
        self.connections += 1
        return SMTP(
            _Handler(self, self.connections),
            hostname="sink.test",
            ident="SmtpSink",
            loop=self._loop,
            enable_SMTPUTF8=True,
            data_size_limit=self._size_limit,
            tls_context=self._context if self._tls == "starttls" else None,
            require_starttls=self._tls == "starttls",
            authenticator=self._authenticate if self._auth else None,
            auth_require_tls=self._tls == "starttls",
        )

    def _authenticate(
        self, _server: Any, session: Any, _envelope: Any, _how: str, data: Any
    ) -> Any:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        session.username = given[0]
        return AuthResult(success=given == self._auth, handled=False)

    def reply(self, *names: str) -> str:
        """What to answer instead of the usual, or ""."""
        for name in names:
            reply = self._replies.get(name, "")
            if isinstance(reply, list):
                reply = reply.pop(0) if reply else ""
            if reply:
                return reply
        return ""

    def keep(self, mail: ReceivedMail) -> None:
        with self._arrived:
            self.mails.append(mail)
            self._arrived.notify_all()


class _Handler:
    def __init__(self, sink: SmtpSink, connection: int) -> None:
        self._sink = sink
        self._connection = connection

    async def handle_MAIL(
        self, _server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if reply := self._sink.reply("MAIL"):
            return reply
        # Not aiosmtpd's own `auth_required`, which warns where TLS comes before the greeting.
        if self._sink.needs_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _s: Any, _n: Any, envelope: Any, address: str, _o: Any) -> str:
        if reply := self._sink.reply(address, "RCPT"):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        if reply := self._sink.reply("."):
            return reply
        mail = ReceivedMail(
            envelope.mail_from,
            list(envelope.rcpt_tos),
            envelope.content,
            session.ssl is not None or self._sink.is_implicit_tls,
            getattr(session, "username", None),
            self._connection,
        )
        self._sink.keep(mail)
        return f"250 2.0.0 Ok: queued as {len(self._sink.mails)}"
