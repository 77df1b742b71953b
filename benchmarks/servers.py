"""A server of the benchmark's own, with the settings of `make run`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import redis

from app.embedded import find_server_binary, is_ready, socket_url, start_server
from app.queue.connection import connect

PAYLOAD = '{"data": "' + "x" * 188 + '"}'  # 200 bytes
START_SECONDS = 20


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty embedded server, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        socket = Path(folder) / "redis.sock"
        binary = find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))
        process = start_server(binary, Path(folder), socket)
        try:
            url = socket_url(socket)
            wait_until(lambda: is_ready(url), "the server answers")
            yield url
        finally:
            # Not kill: a rewrite of its log, in a child, would go on and write into the folder.
            process.terminate()
            process.wait()


@contextmanager
def worker(
    url: str, module: str = "workers.main_worker", **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that knows the no-op job type."""
    environment = {
        **os.environ,
        "REDIS_URL": url,
        "JOB_MODULES": "benchmarks.noop_jobs",
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    process = subprocess.Popen([sys.executable, "-m", module], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


def socket_of(url: str) -> Path:
    """Of a server that listens on a socket only."""
    return Path(unquote(url.removeprefix("unix://")))


def open_client(url: str) -> redis.Redis:
    return connect(url, name="benchmark", timeout_seconds=60)


def wait_until(condition, what: str, seconds: float = START_SECONDS) -> None:
    """Polls gently, so that what is measured isn't disturbed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
