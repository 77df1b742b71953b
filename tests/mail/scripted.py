"""A real SMTP server on 127.0.0.1 that does as it is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

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

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
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
