"""What is not quite HTTP, sent to the real server: it is refused, and it is one request at most."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import RedisServer
from tests.security.test_slow_clients import connect, gunicorn
from tests.start.running import RunningCopy

CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
SMUGGLED = b"POST /api/queue/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[RunningCopy]:
    with gunicorn(tmp_path_factory.mktemp("broken"), server) as copy:
        yield copy


def answers(copy: RunningCopy, sent: bytes) -> bytes:
    """All that comes back until the other side is done."""
    with connect(copy, sent) as client:
        client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        pytest.param(CHUNKED + b"\r\nZZ\r\nab\r\n0\r\n\r\n", b"400", id="no chunk"),
        pytest.param(CHUNKED + b"\r\n-1\r\nab\r\n0\r\n\r\n", b"400", id="negative chunk"),
        pytest.param(CHUNKED + b"\r\n5\r\nab", b"400", id="half a chunk"),
        pytest.param(CHUNKED + b"Content-Length: 6\r\n\r\n0\r\n\r\n", b"400", id="two lengths"),
        pytest.param(b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"400", id="space in name"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"501", id="unknown coding"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n", b"400", id="twice"),
        pytest.param(b"Content-Length: +5\r\n\r\nabcde", b"400", id="signed"),
        pytest.param(b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", b"400", id="folded"),
        pytest.param(b"X: a\0b\r\nContent-Length: 0\r\n\r\n", b"400", id="NUL"),
        pytest.param(b"Host: other\r\nContent-Length: 0\r\n\r\n", b"400", id="two hosts"),
        pytest.param(b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"431", id="long header"),
    ],
)
def test_a_broken_request_is_refused_once(
    copy: RunningCopy, client: redis.Redis, rest: bytes, code: bytes
) -> None:
    head = b"POST /api/process_query HTTP/1.1\r\nHost: localhost\r\n"

    found = answers(copy, head + rest + SMUGGLED)

    assert found.startswith(b"HTTP/1.1 " + code)
    assert found.count(b"HTTP/1.1 ") == 1
    assert not client.hexists("Meta", "paused")
    assert "Traceback" not in copy.output
