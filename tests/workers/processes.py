"""Real worker processes, and a view of the queue they work on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from app.queue.connection import connect
from app.queue.inspector import Inspector
from app.queue.job import Attempt, Job, Status
from app.queue.jobqueue import JobQueue

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0

MAIN = "workers.main_worker"
RETRY = "workers.retry_worker"

SETTINGS = {
    "JOB_MODULES": "tests.workers.job_types",
    "WORKER_CONCURRENCY": "4",
    "LEASE_SECONDS": "4",
    "RETRY_BASE_SECONDS": "0.01",
    "SHUTDOWN_SECONDS": "20",
}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The condition's first true value. Fails when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


def is_gone(pid: int) -> bool:
    """No such process, or a zombie that nobody has asked for its status."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return stat.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@dataclass
class WorkerProcess:
    popen: subprocess.Popen[bytes]
    log_file: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def runs(self) -> bool:
        return self.popen.poll() is None

    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.send(signal.SIGTERM)
        return self.exit_code()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(timeout=PATIENCE_SECONDS)

    def exit_code(self) -> int:
        """Waits for the end."""
        return self.popen.wait(timeout=PATIENCE_SECONDS)


@dataclass
class System:
    """One queue on one server, its workers, and what their jobs noted in `runs_file`."""

    url: str
    folder: Path
    client: redis.Redis
    queue: JobQueue
    inspector: Inspector
    workers: list[WorkerProcess] = field(default_factory=list)

    @property
    def runs_file(self) -> Path:
        return self.folder / "runs"

    def start(self, module: str = MAIN, **settings: str) -> WorkerProcess:
        """Starts a worker with SETTINGS, which `settings` override."""
        log_file = self.folder / f"worker-{len(self.workers)}.log"
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "RUNS_FILE": str(self.runs_file),
            "REDIS_URL": self.url,
            **SETTINGS,
            **settings,
        }
        with log_file.open("wb") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        worker = WorkerProcess(popen, log_file)
        self.workers.append(worker)
        return worker

    def start_idle(self, module: str = MAIN, **settings: str) -> WorkerProcess:
        """Starts a worker and waits until it has said that it is there."""
        there = {worker.name for worker in self.inspector.workers()}
        worker = self.start(module, **settings)
        wait_until(
            lambda: {worker.name for worker in self.inspector.workers()} - there,
            "the worker is there",
        )
        return worker

    def run_alone(self, job_type: str, payload: dict[str, str] | None = None) -> int:
        """A job whose first worker was killed, and that now runs in a child of another."""
        self.start(RETRY, LEASE_SECONDS="2")
        first = self.start(LEASE_SECONDS="2")
        job_id = self.queue.submit(job_type, payload or {}, max_retries=1)
        self.wait_for_run(job_id)
        first.kill()
        second = self.start(LEASE_SECONDS="2")
        assert self.wait_for_run(job_id, 2) not in (first.pid, second.pid)
        return job_id

    def job(self, job_id: int) -> Job:
        return self.inspector.job(job_id)

    def wait_for(self, job_id: int, *statuses: Status, seconds: float = PATIENCE_SECONDS) -> Job:
        """The job, once it has one of the statuses."""

        def found() -> Job | None:
            job = self.inspector.job(job_id)
            return job if job.status in statuses else None

        try:
            job: Job = wait_until(found, f"job {job_id} is {' or '.join(statuses)}", seconds)
        except AssertionError as error:
            logs = "\n".join(worker.log() for worker in self.workers)
            raise AssertionError(f"{error}\n{self.job(job_id)}\n{logs}") from None
        return job

    def wait_for_all(self, status: Status, count: int, seconds: float = PATIENCE_SECONDS) -> None:
        wait_until(
            lambda: self.inspector.counts()[status] == count, f"{count} are {status}", seconds
        )

    def attempts(self, job_id: int) -> list[Attempt]:
        return self.inspector.attempts(job_id)

    def outcomes(self, job_id: int) -> list[str]:
        return [attempt.outcome for attempt in self.attempts(job_id)]

    def runs(self, job_id: int, what: str = "begin") -> list[int]:
        """In which processes the job noted `what`, in order."""
        return [pid for noted_id, noted, pid in self.notes() if (noted_id, noted) == (job_id, what)]

    def notes(self) -> list[tuple[int, str, int]]:
        """Everything that jobs noted: id, what, pid."""
        if not self.runs_file.exists():
            return []
        lines = [line.split(" ") for line in self.runs_file.read_text().splitlines()]
        return [(int(job_id), what, int(pid)) for job_id, what, pid in lines]

    def wait_for_run(self, job_id: int, count: int = 1) -> int:
        """The process of the job's `count`-th run, once that has begun."""
        wait_until(lambda: len(self.runs(job_id)) >= count, f"job {job_id} began {count} times")
        return self.runs(job_id)[count - 1]

    def scripts_called(self) -> int:
        return self._calls("evalsha")

    def commands(self) -> int:
        """How many commands workers have sent; what scripts call doesn't count."""
        return self._calls("evalsha", "eval", "bzpopmin", "ping")

    def _calls(self, *commands: str) -> int:
        stats: Any = self.client.info("commandstats")
        names = [f"cmdstat_{command}" for command in commands]
        return sum(stats[name]["calls"] for name in names if name in stats)

    def totals(self) -> dict[str, int]:
        totals: dict[str, int] = self.inspector.stats()["totals"]
        return totals


def done_by_the_end_of(system: System, some: list[int], others: list[int]) -> int:
    """How many of some jobs were done when the last of the others was, by the server's clock."""
    end = max(system.job(job_id).completed_at or 0.0 for job_id in others)
    return sum((system.job(job_id).completed_at or 0.0) < end for job_id in some)


@contextmanager
def system_on(url: str, folder: Path) -> Iterator[System]:
    """A System; at the end its workers, and what they started, are gone."""
    client = connect(url, name="tests", timeout_seconds=30)
    system = System(url, folder, client, JobQueue(client, lease_ms=4000), Inspector(client))
    try:
        yield system
    finally:
        for worker in system.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.popen.wait(timeout=PATIENCE_SECONDS)
        client.close()
