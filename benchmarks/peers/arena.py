"""One queue, ours or a peer's, on a server of its own: fill it, let it work, read its marks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.peers import install
from benchmarks.peers.common import MARK
from benchmarks.servers import open_client, server, socket_of, wait_until

CALL_SECONDS = 120


@dataclass(frozen=True)
class Peer:
    """`drain_concurrency`: what drained no-op jobs fastest here; docs/performance.md has what was
    tried."""

    name: str
    module: str
    settings: str  # in words
    drain_concurrency: int
    jobs_share: float = 1.0  # of the jobs that the others drain: slow ones would take minutes
    keeps_finished: bool = False  # else there is nothing of a finished job to weigh
    program: str = "peer"  # or "ours", "node"

    def command(self, *arguments: object) -> list[str]:
        words = [str(argument) for argument in arguments]
        if self.program == "node":
            return ["node", str(Path(__file__).with_name(f"{self.module}.mjs")), *words]
        python = sys.executable if self.program == "ours" else str(install.PYTHON)
        return [python, "-m", "benchmarks.peers.play", self.module, *words]


OURS = Peer("Mailroom", "mailroom_peer", "16 threads", 16, keeps_finished=True, program="ours")
BULLMQ = Peer("BullMQ", "bullmq_peer", "concurrency 100", 100, keeps_finished=True, program="node")
PEERS = (
    BULLMQ,
    Peer("Dramatiq", "dramatiq_peer", "32 threads, no middleware", 32),
    Peer("Huey", "huey_peer", "8 threads, no results", 8),
    Peer("taskiq", "taskiq_peer", "32 coroutines, no results", 32),
    Peer("Celery", "celery_peer", "16 threads, no results", 16, jobs_share=0.2),
    Peer("RQ", "rq_peer", "SimpleWorker", 1, jobs_share=0.05, keeps_finished=True),
)


class Arena:
    """A peer on an empty server with the settings of `make run`."""

    def __init__(self, peer: Peer, url: str, folder: Path) -> None:
        self.peer = peer
        self.url = url
        self.folder = folder
        self.client: redis.Redis = open_client(url)
        self._environment = {
            **install.environment(),
            "BENCH_FOLDER": str(folder),
            "BENCH_SOCKET": str(socket_of(url)),
            "DATA_DIR": str(folder),
        }

    @contextmanager
    def cleared(self) -> Iterator[Arena]:
        """The same server, with a gate and marks of its own."""
        with tempfile.TemporaryDirectory(prefix="mailroom-arena-") as folder:
            yield Arena(self.peer, self.url, Path(folder))

    def fill(self, jobs: int, milliseconds: float = 0) -> float:
        """Submits jobs, many at once where the peer can; returns the seconds it took."""
        return self._call("fill", jobs, milliseconds)

    def pace(self, jobs: int, milliseconds: float) -> None:
        """Submits one job each so many milliseconds."""
        self._call("pace", jobs, milliseconds)

    @contextmanager
    def workers(self, count: int, concurrency: int) -> Iterator[list[int]]:
        """Worker processes that wait at the gate; their ids. Ended at the end, with all they
        started."""
        environment = {**self._environment, "BENCH_GATE": "1"}
        with ExitStack() as ends, (self.folder / "workers.log").open("ab") as log:
            processes = []
            for _ in range(count):
                process = subprocess.Popen(
                    self.peer.command("work", concurrency),
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                processes.append(process)
                ends.callback(end, process)
            wait_until(self._are_ready(count), f"the workers of {self.peer.name} are ready", 60)
            yield [process.pid for process in processes]

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def wait_for_marks(self, jobs: int, seconds: float = CALL_SECONDS) -> list[tuple[float, float]]:
        """When each job was submitted and when it began, in order of the latter."""
        what = f"{self.peer.name} ran {jobs} jobs"
        wait_until(lambda: self._marked() >= jobs, what, seconds)
        marks = []
        for path in self.folder.glob("marks-*"):
            marks += [mark for mark in MARK.iter_unpack(path.read_bytes()) if mark[1]]
        return sorted(marks, key=lambda mark: mark[1])

    def _marked(self) -> int:
        return sum(_count(path) for path in self.folder.glob("marks-*"))

    def _are_ready(self, count: int):
        return lambda: len(list(self.folder.glob("ready-*"))) >= count

    def _call(self, *arguments: object) -> float:
        done = subprocess.run(
            self.peer.command(*arguments),
            env=self._environment,
            stdout=subprocess.PIPE,
            timeout=CALL_SECONDS,
            check=True,
        )
        return float(done.stdout.split()[-1])


@contextmanager
def arena(peer: Peer) -> Iterator[Arena]:
    """Where a peer fails, the rest of its block is left out and the run goes on; with ours it
    ends."""
    with (
        server() as url,
        tempfile.TemporaryDirectory(prefix="mailroom-arena-") as folder,
    ):
        made = Arena(peer, url, Path(folder))
        try:
            yield made
        except Exception as error:
            log = Path(folder) / "workers.log"
            if log.exists():
                shutil.copyfileobj(log.open(errors="replace"), sys.stderr)
            if peer is OURS:
                raise
            print(f"  {peer.name} failed and is left out of this round: {error}", flush=True)
        finally:
            made.client.close()


def end(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Ends a process that leads a session, and all it started."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def settle(seconds: float = 1.0) -> None:
    """Lets what was just started or filled come to rest."""
    time.sleep(seconds)


def _count(path: Path) -> int:
    """How many marks a file holds: they are written from its beginning, and the rest is zero."""
    size = path.stat().st_size // MARK.size
    with path.open("rb") as file:

        def is_written(number: int) -> bool:
            file.seek(number * MARK.size)
            return MARK.unpack(file.read(MARK.size))[1] > 0

        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if is_written(middle) else (low, middle)
    return low
