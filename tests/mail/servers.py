"""Real SMTP servers on 127.0.0.1, for tests: one that behaves, and one that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.message
import email.policy
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# ── Certificates ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Certificates:
    """A throw-away authority and a server's certificate by it."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


def make_certificates(
    folder: Path, names: str = "DNS:localhost,IP:127.0.0.1", days: int = 2
) -> Certificates:
    """`names` are the server's, as OpenSSL writes a subjectAltName. `days` below 0: expired."""
    folder.mkdir(parents=True, exist_ok=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    extensions = folder / "server.ext"
    extensions.write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
    steps = [
        f"req -x509 -keyout ca.key -out ca.pem -days {abs(days)} -subj /CN=test-authority "
        "-addext keyUsage=critical,keyCertSign,cRLSign",
        "req -keyout server.key -out server.csr -subj /CN=test-server",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
        f"-out server.pem -days {days} -extfile server.ext",
    ]
    for step in steps:
        words = step.split()
        key = new_key if words[0] == "req" else []
        command = ["openssl", words[0], *key, *words[1:]]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    return Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")


# ── A server that behaves ───────────────────────────────────────────────────────────────────


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

    def wait_for(self, count: int, seconds: float = 10) -> list[ReceivedMail]:
        """The mails, once there are so many."""
        with self._arrived:
            enough = self._arrived.wait_for(lambda: len(self.mails) >= count, seconds)
        assert enough, f"{len(self.mails)} of {count} mails within {seconds} s"
        return self.mails

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

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


# ── A server that does as it is told ────────────────────────────────────────────────────────

Action = Callable[["Talk"], None]
Reply = str | bytes | Action


def close(talk: Talk) -> None:
    """Hangs up."""
    raise _Over


def reset(talk: Talk) -> None:
    """Hangs up with a TCP reset."""
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise _Over


def silence(talk: Talk) -> None:
    """Says nothing until the test is over, or the client hangs up."""
    talk.socket.settimeout(30)
    while talk.socket.recv(65_536):
        pass
    raise _Over


def then_close(reply: str) -> Action:
    def action(talk: Talk) -> None:
        talk.say(reply)
        raise _Over

    return action


def drip(reply: str, seconds: float) -> Action:
    """One byte at a time."""

    def action(talk: Talk) -> None:
        for byte in reply.encode() + b"\r\n":
            if talk.server.stopping.wait(seconds):
                raise _Over
            talk.socket.sendall(bytes([byte]))

    return action


@dataclass
class ScriptedServer:
    """Answers each command with what `script` says, else as a server should.

    Keys: "connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "." (the message's end),
    "RSET", "QUIT". A value is a reply, an action (`close`, `silence` …), or a list of these, used
    up one by one.
    """

    script: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("SIZE 1000000", "8BITMIME")
    host: str = "127.0.0.1"
    port: int = 0
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)  # whether accepted or not
    connections: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ScriptedServer:
        self._listener = socket.create_server((self.host, self.port))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.stopping.set()
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def heard(self, command: str) -> int:
        """How often."""
        return sum(line.upper().startswith(command) for line in self.commands)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; heard {self.commands}"
            time.sleep(0.005)

    def answer_to(self, name: str, usual: Reply) -> Reply:
        reply = self.script.get(name, usual)
        if isinstance(reply, list):
            return reply.pop(0) if reply else usual
        return reply

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=Talk(self, connection).run, daemon=True)
            self._threads.append(thread)
            thread.start()


class _Over(Exception):
    pass


class Talk:
    """One connection of a ScriptedServer."""

    def __init__(self, server: ScriptedServer, connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self._received = b""

    def run(self) -> None:
        try:
            self._answer("connect", "220 scripted.test ESMTP")
            while (line := self._line()) is not None:
                self.server.commands.append(line)
                self._obey(line)
        except (_Over, OSError):
            pass
        finally:
            self.socket.close()

    @property
    def unread(self) -> bytes:
        """What came together with the command that is answered now."""
        return self._received

    def say(self, reply: str | bytes) -> None:
        self.socket.sendall(reply if isinstance(reply, bytes) else reply.encode() + b"\r\n")

    def _obey(self, line: str) -> None:
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            lines = ("scripted.test", *self.server.extensions)
            ends = [" " if each is lines[-1] else "-" for each in lines]
            usual = "\r\n".join(f"250{end}{each}" for end, each in zip(ends, lines, strict=True))
            self._answer("EHLO", usual)
        elif verb == "DATA":
            if self._answer("DATA", "354 Go on"):
                self._take_mail()
        elif verb == "QUIT":
            self._answer("QUIT", then_close("221 Bye"))
        else:
            self._answer(verb, "235 OK" if verb == "AUTH" else "250 2.1.0 OK")

    def read_message(self) -> list[bytes] | None:
        """Its lines; None when the connection ended before the final dot."""
        lines = []
        while (line := self._line(raw=True)) is not None and line != b".":
            lines.append(line.removeprefix(b"."))
        return None if line is None else lines

    def _take_mail(self) -> None:
        if (lines := self.read_message()) is not None:
            self.server.mails.append(b"\r\n".join(lines) + b"\r\n")
            self._answer(".", "250 2.0.0 Ok: queued")

    def _answer(self, name: str, usual: Reply) -> bool:
        """Whether it was said to go on."""
        reply = self.server.answer_to(name, usual)
        if callable(reply):
            reply(self)
            return False
        self.say(reply)
        return reply[:1] in ("3", b"3")

    def _line(self, raw: bool = False) -> Any:
        while b"\r\n" not in self._received:
            data = self.socket.recv(65_536)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\r\n")
        return line if raw else line.decode("utf-8", "replace")
