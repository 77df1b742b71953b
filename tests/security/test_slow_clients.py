"""Clients that send slowly, or nothing, hold up nobody else."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RedisServer
from tests.start.running import RunningCopy, running_copy, wait_for

SILENT = 30
HASTY = "tests.security.hasty_worker.HastyWorker"


@contextlib.contextmanager
def gunicorn(tmp_path: Path, server: RedisServer, *options: str) -> Iterator[RunningCopy]:
    """The real thing with a single thread."""
    command = [sys.executable, "-m", "gunicorn", *options, "wsgi:app"]
    settings = {"WEB_WORKERS": "1", "WEB_THREADS": "1", "REDIS_URL": server.url}
    with running_copy(tmp_path / "data", command, **settings) as copy:
        wait_for(copy.answers, copy)
        yield copy


def connect(copy: RunningCopy, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", copy.port), timeout=20)
    client.sendall(data)
    return client


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_who_sends_half_a_request_takes_no_thread(
    tmp_path: Path, server: RedisServer, sent: bytes
) -> None:
    with gunicorn(tmp_path, server) as copy, contextlib.ExitStack() as clients:
        slow = [clients.enter_context(connect(copy, sent)) for _ in range(SILENT)]
        for client in slow if sent else ():
            client.sendall(b"a")  # and on, a byte at a time

        assert copy.answers()

        # They were still there, and one that gets on with it is answered.
        assert all(map(is_open, slow))
        slow[0].settimeout(20)
        slow[0].sendall(b"\r\n\r\n" if sent else b"GET /healthz HTTP/1.0\r\n\r\n")
        assert slow[0].recv(12).startswith(b"HTTP/1.")


def test_in_the_end_they_are_closed(tmp_path: Path, server: RedisServer) -> None:
    with gunicorn(tmp_path, server, "-k", HASTY) as copy, contextlib.ExitStack() as clients:
        slow = [clients.enter_context(connect(copy, b"GET / HTTP/1.1\r\nX: ")) for _ in range(5)]
        wait_for(lambda: not any(map(is_open, slow)), copy)
        assert copy.answers()


def test_a_body_that_does_not_come_frees_the_thread(tmp_path: Path, server: RedisServer) -> None:
    head = (
        b"POST /api/process_query HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with gunicorn(tmp_path, server, "-k", HASTY) as copy, contextlib.ExitStack() as clients:
        slow = [clients.enter_context(connect(copy, head)) for _ in range(2)]
        wait_for(lambda: not any(map(is_open, slow)) or copy.answers(), copy)
        wait_for(copy.answers, copy)
        for client in slow:
            client.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                assert not client.recv(100).startswith(b"HTTP/1.1 200")


LONG = b"Content-Length: 900000\r\n\r\n{"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(b"Content-Length: 1000\r\n\r\n{", id="a short body"),
        pytest.param(LONG, id="a long body"),
        pytest.param(b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", id="an asked-for body"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\n", id="chunks"),
        pytest.param(b"Connection: close\r\n\r\n", id="who does not hang up"),
        pytest.param(
            b"Content-Length: 2\r\n\r\n{}POST /api/process_query HTTP/1.1\r\nX: ",
            id="half a next one",
        ),
    ],
)
@pytest.mark.parametrize("scheme", ["open", "key"])
def test_whoever_stalls_holds_up_nobody(
    tmp_path: Path, server: RedisServer, asked: bytes, scheme: str
) -> None:
    """Whether they are let in, or refused before their body is read."""
    head = (
        b"POST /api/process_query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    )
    if scheme == "key":
        head += b"Authorization: Bearer nonsense\r\n"
    with gunicorn(tmp_path, server) as copy, contextlib.ExitStack() as clients:
        for _ in range(SILENT):
            clients.enter_context(connect(copy, head + asked))

        for _ in range(5):
            assert copy.answers()


def test_who_takes_no_answer_is_asked_no_more(tmp_path: Path, server: RedisServer) -> None:
    with gunicorn(tmp_path, server) as copy, contextlib.ExitStack() as clients:
        for _ in range(5):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", copy.port))
            # Ends when it is closed; as many answers as these would not fit anywhere.
            with contextlib.suppress(OSError):
                for _ in range(100):
                    client.sendall(b"GET /api/docs HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    client.settimeout(20)
                    client.recv(1, socket.MSG_PEEK)  # the answer began

            assert copy.answers()


def test_a_kept_connection_serves_many_requests(tmp_path: Path, server: RedisServer) -> None:
    body = json.dumps({"job_type": "send_email", "payload": {}}).encode()
    head = (
        b"POST /api/process_query HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with gunicorn(tmp_path, server) as copy, connect(copy) as client:
        answers = client.makefile("rb")
        for split in (1, 10, len(head), len(head) + 3, len(head + body)):
            # Its head and body come in two parts.
            client.sendall((head + body)[:split])
            client.sendall((head + body)[split:])
            assert answers.readline() == b"HTTP/1.1 422 UNPROCESSABLE ENTITY\r\n"
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            assert b"errors" in answers.read(length)
        answers.close()
