"""A copy of the system whose every part can be killed, frozen and started again, one by one."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis

from app.queue.connection import connect
from app.queue.inspector import Inspector
from app.queue.job import FINAL, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from app.supervisor.parent_death import end_with_parent
from tests.soak.judge import JobLog
from tests.start.running import environment_without_settings, free_port, pids_of
from tests.workers.own_server import OwnServer
from tests.workers.processes import MAIN, RETRY, ROOT, WorkerProcess, wait_until

API = "gunicorn"
SUPERVISOR = "app"
BATCH = 500
SETTINGS = {
    "JOB_MODULES": "tests.soak.soak_jobs",
    "LEASE_SECONDS": "2",
    "RETRY_BASE_SECONDS": "0.01",
    "LOG_LEVEL": "WARNING",
    "WEB_WORKERS": "1",
    "SHUTDOWN_SECONDS": "20",
}


@dataclass
class Part(WorkerProcess):
    """One process of the system, and how to start the next one in its place."""

    module: str
    arguments: tuple[str, ...]
    settings: dict[str, str]


@dataclass
class System:
    """Made by `running_system`. Its processes are those of `make run`, its job log is `log()`.

    `client`, `queue` and `inspector` talk to the server past the API.
    """

    folder: Path
    server: OwnServer
    settings: dict[str, str]
    port: int
    client: redis.Redis
    queue: JobQueue
    inspector: Inspector
    parts: list[Part] = field(default_factory=list)  # all that were ever started

    # ── Processes ───────────────────────────────────────────────────────────────────────────

    def start_worker(self, **settings: str) -> Part:
        return self.start(MAIN, **settings)

    def start_retry_worker(self, **settings: str) -> Part:
        return self.start(RETRY, **settings)

    def start_api(self, **settings: str) -> Part:
        """Returns when it answers."""
        api = self.start(API, "wsgi:app", **settings)
        self.wait_for_api()
        return api

    def start_supervisor(self, **settings: str) -> Part:
        """API, retry worker and main workers under one roof, on the server that runs already.

        Returns when the API answers.
        """
        supervisor = self.start(SUPERVISOR, **settings)
        self.wait_for_api()
        return supervisor

    def start(self, module: str, *arguments: str, **settings: str) -> Part:
        """`python -m module`, with this system's settings and these on top. From the main thread
        only: the kernel ends it with the thread that started it."""
        log_file = self.folder / f"{len(self.parts):03}-{module}.log"
        with log_file.open("wb") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=environment_without_settings() | self.settings | settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent("SIGKILL"),
            )
        part = Part(popen, log_file, module, arguments, settings)
        self.parts.append(part)
        return part

    def restart(self, part: Part) -> Part:
        """Another process like this one, which has ended."""
        assert not part.runs
        return self.start(part.module, *part.arguments, **part.settings)

    def wait_for_api(self, seconds: float = 60) -> None:
        wait_until(lambda: self.request("GET", "/healthz")[0] == 200, "the API answers", seconds)

    def wait_for_workers(self, count: int) -> None:
        """Until so many main workers have said that they are there."""
        wait_until(lambda: len(self.main_workers()) >= count, f"{count} workers are there")

    def main_workers(self) -> list[str]:
        """The names of those that have spoken and not said goodbye, the killed ones too."""
        found = self.inspector.workers()
        return [worker.name for worker in found if worker.details["role"] == "main"]

    # ── Jobs ────────────────────────────────────────────────────────────────────────────────

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the API's answer; status 0 when there was none."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}

    def submit(self, jobs: list[dict[str, Any]]) -> list[int]:
        """Submits over HTTP, in batches; the ids. What a busy machine refuses, it asks again."""
        ids: list[int] = []
        run = random.SystemRandom().randrange(2**64)
        for first in range(0, len(jobs), BATCH):
            batch = jobs[first : first + BATCH]
            accepted = partial(self._accepted, batch, f"soak-{run:x}-{first}")
            ids += wait_until(accepted, f"jobs {first} to {first + len(batch)} are accepted")
        return ids

    def _accepted(self, batch: list[dict[str, Any]], key: str) -> list[int] | None:
        headers = {"Idempotency-Key": key}
        status, answer = self.request("POST", "/api/jobs/batch", {"jobs": batch}, headers)
        if status != 200 or answer["rejected"]:
            return None
        return [result["query_id"] for result in answer["results"]]

    def submit_directly(self, jobs: list[NewJob]) -> list[int]:
        """Past the API."""
        answers = self.queue.submit_many(jobs)
        return [answer.job_id for answer in answers if not isinstance(answer, Exception)]

    def counts(self) -> dict[Status, int]:
        return self.inspector.counts()

    def totals(self) -> dict[str, int]:
        """Event → count since the beginning, as the product counts."""
        totals: dict[str, int] = self.inspector.stats()["totals"]
        return totals

    def suspected(self) -> int:
        """Duplicates that the product counts as possible: work reported after somebody else had
        begun it, and mails begun again after their point of no return."""
        totals = self.totals()
        return totals["lost"] + totals["unconfirmed"]

    def wait_until_finished(self, count: int, seconds: float) -> None:
        """Until so many jobs are `success`."""
        wait_until(
            lambda: self.counts()[Status.SUCCESS] >= count, f"{count} have finished", seconds
        )

    def wait_until_final(self, total: int, seconds: float) -> float:
        """Until `total` jobs have a final status. Returns for how many seconds it waited."""
        began = time.monotonic()

        def all_final() -> bool:
            counts = self.counts()
            return sum(counts[status] for status in FINAL) >= total

        try:
            wait_until(all_final, f"all {total} are final", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.counts()}; {self.folder}") from None
        return time.monotonic() - began

    def in_hand(self, part: Part) -> set[int]:
        """The jobs that the worker holds in the eyes of the queue. Exact for one that is dead."""
        held: set[int] = set()
        ids: Any = self.client.zrange(self.inspector.keys.processing, 0, -1)
        records: Any = self.client.hmget(self.inspector.keys.jobs, ids) if ids else []
        for job_id, text in zip(ids, records, strict=True):
            if pid_in(json.loads(text or "{}").get("worker")) == part.pid:
                held.add(int(job_id))
        return held

    def starved(self, job_ids: set[int], faulty: set[int]) -> set[int]:
        """Those of the jobs whose lease ran out in a process that no fault was done to: the
        machine was too busy to let it renew. `faulty` are process ids."""
        return {
            job_id
            for job_id in job_ids
            for attempt in self.inspector.attempts(job_id)
            if attempt.outcome == "died" and pid_in(attempt.worker) not in faulty
        }

    def log(self) -> JobLog:
        return JobLog(Path(self.settings["SOAK_LOG"]))

    def end(self) -> None:
        """Nothing of it is left. What a supervisor or a worker started is known by its folder."""
        for part in self.parts:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(part.pid, signal.SIGKILL)
            part.popen.wait(timeout=30)
        for pid in pids_of(self.folder) - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.client.close()


@contextmanager
def running_system(
    *,
    server_options: tuple[str, ...] = (),
    lease_seconds: float = 2,
    with_server: bool = True,
    url: str | None = None,
    **settings: str,
) -> Iterator[System]:
    """A system of which only the Redis server runs. `settings` go to every process.

    `server_options` are more of the server's command line (`"--appendfsync", "always"`).
    `with_server=False`: the supervisor that is started in it brings its own, as `make run` does.
    `url`: it is on other servers, which `settings` name; none is started for it.
    When the block raises, the folder with all logs stays, and the error names it.
    """
    folder = Path(tempfile.mkdtemp(prefix="mailroom-soak-", dir="/tmp"))
    server, port = OwnServer(folder), free_port()
    with_server = with_server and url is None
    if with_server:
        server.start(*server_options)
        settings.setdefault("REDIS_URL", server.url)
    settings = {
        **SETTINGS,
        "LEASE_SECONDS": f"{lease_seconds:g}",
        "PYTHONPATH": str(ROOT),
        "SOAK_LOG": str(folder / "jobs.log"),
        "DATA_DIR": str(folder),
        "PORT": str(port),
        **settings,
    }
    client = connect(url or server.url, name="soak", timeout_seconds=30)
    queue = JobQueue(client, lease_ms=int(lease_seconds * 1000))
    system = System(folder, server, settings, port, client, queue, Inspector(client))
    try:
        yield system
    except BaseException as error:
        error.add_note(f"The logs are in {folder}")
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        system.end()
        if with_server:
            server.kill()


def pid_in(worker: str | None) -> int:
    """The process id in a worker's name; 0 for none."""
    return int(worker.rsplit("-", 2)[1]) if worker else 0


def seed() -> int:
    """SOAK_SEED, or a new one. It chooses victims and moments; the machine does the rest."""
    return int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1_000_000))
