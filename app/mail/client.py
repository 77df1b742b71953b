"""What is said to an SMTP server and what comes back, on one socket."""

from __future__ import annotations

import functools
import math
import smtplib
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from app.mail.outcomes import BadReply

_LINE_MAX_BYTES = 8_192
_REPLY_MAX_BYTES = 1_048_576
_REPLY_KEPT_BYTES = 65_536
_NEARLY_ALL = 0.95  # of the time a step has: as good as all of it
# How long one call on a socket waits at most before the time that is left is looked at. Most steps
# may take longer, so that the socket keeps this time-out from one to the next.
_LOOK_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step may take in all, in seconds (RFC 5321 section 4.5.3.2)."""

    connect: float = 30
    greeting: float = 60
    command: float = 300
    data: float = 120
    block: float = 180
    final: float = 600
    check: float = 10  # whether an idle connection still lives
    quit: float = 2


USUAL_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class Server:
    """Which server, and how to speak to it."""

    host: str
    port: int
    security: str  # starttls | tls | none
    helo_name: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    timeouts: Timeouts = USUAL_TIMEOUTS


class SmtpClient(smtplib.SMTP):
    """`smtplib`'s commands, with a time-out for each step as a whole.

    A server that drips one byte a second would otherwise hold a thread for ever.
    """

    def __init__(self, server: Server, monotonic: Callable[[], float]) -> None:
        super().__init__(local_hostname=server.helo_name, timeout=server.timeouts.connect)
        self.seconds = server.timeouts.connect
        self._server = server
        self._monotonic = monotonic
        self._received = b""
        self._allowed: dict[int, float] = {}  # the time-outs the socket has now, by option
        self._call_seconds_max = _LOOK_UP_SECONDS

    def dial(self) -> None:
        server = self._server
        address = (server.host.strip("[]"), server.port)
        self.sock = socket.create_connection(address, server.timeouts.connect)
        self.sock.settimeout(None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def encrypt(self) -> None:
        if self._received:
            raise BadReply("The server went on in plaintext after STARTTLS")
        assert self._server.tls is not None and self.sock is not None
        name = self._server.host.strip("[]")
        self.esmtp_features = {}
        self.sock.settimeout(self.seconds)
        self._allowed = {}
        self._call_seconds_max = math.inf
        self.sock = self._server.tls.wrap_socket(self.sock, server_hostname=name)

    @property
    def takes_several_commands(self) -> bool:
        """Whether commands may be sent before the answers to those before (RFC 2920)."""
        return "pipelining" in self.esmtp_features

    def send(self, s: object) -> None:
        data = s.encode(self.command_encoding) if isinstance(s, str) else s
        assert isinstance(data, bytes)
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Not connected")
        if self._received:
            raise BadReply("The server spoke out of turn")
        began = self._monotonic()
        self._allow(self.seconds, socket.SO_SNDTIMEO)
        while True:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
            self._allow(self._seconds_left(began), socket.SO_SNDTIMEO)

    def getreply(self) -> tuple[int, bytes]:
        """One reply (RFC 5321 section 4.2), of at most 64 KiB of text; the rest is read past."""
        began = self._monotonic()
        lines: list[bytes] = []
        kept = read = 0
        while True:
            line = self._read_line(began)
            code, separator = line[:3], line[3:4]
            if not (_is_code(code) and separator in (b"", b" ", b"-")):
                raise BadReply("What the server sent is no SMTP reply")
            read += len(line)
            if kept < _REPLY_KEPT_BYTES:
                lines.append(line[4:].strip())
                kept += len(line)
            if separator != b"-":
                return int(code), b"\n".join(lines)
            if read > _REPLY_MAX_BYTES:
                raise BadReply("The server's reply does not end")

    def _read_line(self, began: float) -> bytes:
        while True:
            line, found, rest = self._received.partition(b"\n")
            if found:
                self._received = rest
                return line.rstrip(b"\r")
            if len(line) > _LINE_MAX_BYTES:
                raise BadReply("A line of the server's reply is too long")
            self._received += self._receive(began)

    def _receive(self, began: float) -> bytes:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Not connected")
        while True:
            seconds_left = self._seconds_left(began)
            # Most replies come in one piece, soon: the socket keeps the time-out it has.
            hurries = seconds_left < self.seconds * _NEARLY_ALL
            self._allow(seconds_left if hurries else self.seconds, socket.SO_RCVTIMEO)
            try:
                data = self.sock.recv(_LINE_MAX_BYTES)
                break
            except BlockingIOError:
                continue
        if not data:
            raise ConnectionResetError("The server closed the connection")
        return data

    def _seconds_left(self, began: float) -> float:
        seconds_left = self.seconds - (self._monotonic() - began)
        if seconds_left <= 0:
            raise TimeoutError("Timed out")
        return seconds_left

    def _allow(self, seconds: float, option: int) -> None:
        """How long the next call on the socket may take: `option` says which, SO_RCVTIMEO or
        SO_SNDTIMEO.

        In the clear the kernel keeps the time, and the call ends with BlockingIOError, perhaps
        before that time is over: Python's own way asks `poll` before each call, and every call
        more is one more wait for the interpreter lock. TLS can't do without, and ends with
        TimeoutError.
        """
        if seconds > self._call_seconds_max:
            seconds = self._call_seconds_max
        if self._allowed.get(option) == seconds:
            return
        assert self.sock is not None
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(seconds)
            self._allowed = dict.fromkeys((socket.SO_RCVTIMEO, socket.SO_SNDTIMEO), seconds)
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, option, _timeval(seconds))
            self._allowed[option] = seconds


@functools.lru_cache(maxsize=64)
def _timeval(seconds: float) -> bytes:
    # Zero would mean: without end.
    microseconds = max(1, int(seconds * 1_000_000))
    return struct.pack("@ll", *divmod(microseconds, 1_000_000))


def _is_code(code: bytes) -> bool:
    return len(code) == 3 and code.isdigit() and b"2" <= code[:1] <= b"5"
