"""A gunicorn of the benchmark's own, and how much it answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers import wait_until

ASKED_AT_START = 24
OURS, BARE = "wsgi:app", "benchmarks.bare_view:app"


class Served(NamedTuple):
    requests: float  # a second
    p50_ms: float
    p99_ms: float


@contextmanager
def gunicorn(
    application: str, url: str, folder: Path, *options: str, **settings: str
) -> Iterator[tuple[int, int]]:
    """The port and the process id of a server with the settings of `gunicorn.conf.py`."""
    port = free_port()
    environment = {
        **os.environ,
        "REDIS_URL": url,
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "JOB_MODULES": "benchmarks.noop_jobs",
        **settings,
    }
    command = [sys.executable, "-m", "gunicorn", *options, application]
    # A log line for each request is part of the work, the terminal it goes to is not.
    with (folder / "gunicorn.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    try:
        # Every worker listens before it has loaded the application; the kernel chooses one of them.
        wait_until(lambda: all(_answers(port) for _ in range(ASKED_AT_START)), "gunicorn answers")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=40)


def load(port: int, path: str, body: bytes, folder: Path, connections=16, seconds=5.0) -> Served:
    """Asks from a second process."""
    body_file = folder / "body.json"
    body_file.write_bytes(body)
    command = [sys.executable, "-m", "benchmarks.load", str(port), path, str(body_file)]
    command += [str(connections), str(seconds)]
    found = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds + 30, check=True)
    return Served(*map(float, found.stdout.split()))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return bool(client.recv(1))
    except OSError:
        return False
