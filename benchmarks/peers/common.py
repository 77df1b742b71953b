"""What the jobs and workers of all peers do alike, in their environments: standard library only.

A job writes down when it was submitted and when it began, in a file of its process that is mapped
into memory: that takes a microsecond, asks no server, and is the same for everyone.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import Any

PAYLOAD_BYTES = 200
MARK = struct.Struct("dd")  # submitted, began: seconds since the epoch
MARKS_MAX = 100_000
START_SECONDS = 60.0

FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
SOCKET = os.environ.get("BENCH_SOCKET", "")


def payload(milliseconds: float = 0) -> str:
    """A payload of 200 bytes: when it was made, and how long its job takes."""
    text = json.dumps({"at": f"{time.time():.6f}", "ms": milliseconds, "x": ""})
    return f'{text[:-2]}{"x" * (PAYLOAD_BYTES - len(text))}"}}'


def begin(data: dict[str, Any]) -> float:
    """Writes down that the job began; returns the seconds it is to take."""
    _marks().write(float(data["at"]), time.time())
    return float(data["ms"]) / 1000


def run(text: str) -> None:
    """The job of every peer."""
    if seconds := begin(json.loads(text)):
        time.sleep(seconds)


def wait_for_gate() -> None:
    """Workers begin together: how fast a process starts is not what is measured."""
    if "BENCH_GATE" not in os.environ:
        return
    (FOLDER / f"ready-{os.getpid()}").touch()
    deadline = time.monotonic() + START_SECONDS
    while not (FOLDER / "gate").exists():
        if time.monotonic() > deadline:
            raise SystemExit("nobody opened the gate")
        time.sleep(0.002)


class Marks:
    """The marks of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        size = MARK.size * MARKS_MAX
        with (FOLDER / f"marks-{self.pid}").open("w+b") as file:
            file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
        self._next = itertools.count()  # two threads never get the same number

    def write(self, submitted: float, began: float) -> None:
        MARK.pack_into(self._memory, next(self._next) * MARK.size, submitted, began)


_of_this_process: Marks | None = None
_lock = threading.Lock()


def _marks() -> Marks:
    """Made in the process that runs the jobs, which may be a fork of the one that imported this."""
    global _of_this_process
    if _of_this_process is None or _of_this_process.pid != os.getpid():
        with _lock:  # of several threads that begin at once, one makes it
            if _of_this_process is None or _of_this_process.pid != os.getpid():
                _of_this_process = Marks()
    return _of_this_process
