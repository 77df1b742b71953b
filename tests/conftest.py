"""The Redis servers that tests talk to: a real embedded one, the system's, and fakeredis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fakeredis
import pytest
import redis
from hypothesis import settings

from app.embedded import find_server_binary, is_ready, socket_url, start_server
from app.queue.connection import connect

# An example that a busy machine holds up has not failed.
settings.register_profile("mailroom", settings.default, deadline=None)
settings.load_profile("mailroom")


@dataclass(frozen=True)
class RedisServer:
    """A running server of the tests' own. `url` is for `connect` and REDIS_URL."""

    url: str
    directory: Path
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    """The embedded server, one for each test process."""
    with running_server(find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the embedded server, which is empty."""
    yield from _empty_client(server)


@pytest.fixture(scope="session")
def debian_redis() -> Iterator[RedisServer]:
    """The system's own redis-server, the oldest that is supported."""
    binary = shutil.which("redis-server")
    if binary is None:
        reason = "there is no redis-server on PATH (Debian: apt-get install redis-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_server(Path(binary)) as server:
        yield server


@pytest.fixture
def debian_client(debian_redis: RedisServer) -> Iterator[redis.Redis]:
    """A client of the system's redis-server, which is empty."""
    yield from _empty_client(debian_redis)


@pytest.fixture
def fake_client() -> Iterator[redis.Redis]:
    """fakeredis, empty. It has no `#!lua` line, INFO, CONFIG GET or WAIT."""
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(binary: Path) -> Iterator[RedisServer]:
    """A server in a folder of its own, gone at the end together with the folder."""
    # Not pytest's folder: its path can be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="mailroom-test-", dir="/tmp") as folder:
        directory = Path(folder)
        socket = directory / "redis.sock"
        process = start_server(binary, directory, socket)
        try:
            url = socket_url(socket)
            _wait_until_ready(process, url)
            yield RedisServer(url, directory, process)
        finally:
            process.kill()
            process.wait(timeout=10)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 20
    while not is_ready(url):
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        assert time.monotonic() < deadline, "the server did not answer within 20 s"
        time.sleep(0.01)


def _empty_client(server: RedisServer) -> Iterator[redis.Redis]:
    client = connect(server.url, name="tests")
    client.flushall()
    yield client
    client.close()
