"""Scenario 11: the disk is full, for the server's data and for a worker's journal.

A limit on the size of files stands for the disk: writing beyond it fails in the same place, and it
can be set and lifted while the process runs.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.embedded import find_server_binary
from app.queue.job import Status
from tests.soak.judge import Verdict, lost_jobs
from tests.soak.outage import first_answer, longest, now, soak_jobs, submit_one, verdict_of
from tests.soak.scenario import sizes
from tests.soak.submitting import Submitter
from tests.soak.system import System, running_system
from tests.workers.processes import wait_until

NOTHING_MORE_BYTES = 4096  # about: the log has to grow, too


@dataclass(frozen=True, slots=True)
class Disk:
    jobs: int
    per_second: float
    full_seconds: float
    times: int


@pytest.fixture(autouse=True)
def a_limit_is_an_error_and_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk. By default the kernel ends who writes beyond the limit (SIGXFSZ)."""
    binary = find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))
    wrapper = tmp_path / "server"
    wrapper.write_text(f'#!/bin/sh\ntrap "" XFSZ\nexec "{binary}" "$@"\n')
    wrapper.chmod(0o700)
    monkeypatch.setenv("REDIS_SERVER_BIN", str(wrapper))


@sizes(short=Disk(400, 150, 1.0, times=1), long=Disk(10_000, 150, 5.0, times=10))
def test_nothing_is_accepted_while_the_server_s_disk_is_full(
    size: Disk,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    with running_system(lease_seconds=2, WORKER_CONCURRENCY="8") as system:
        system.start_api()
        parts = [system.start_retry_worker(), system.start_worker()]
        system.wait_for_workers(1)
        jobs = soak_jobs(size.jobs, 0.02, rng)
        with Submitter(system, jobs, batch=10, per_second=size.per_second) as submitter:
            for _ in range(size.times):
                time.sleep(rng.uniform(0.3, 0.8))
                fill_disk(system)
                full_at = now()
                refused_after = first_answer(submitter, 503, full_at)
                assert submit_one(system)[:2] == (503, "2")
                status, answer = system.request("GET", "/readyz")
                assert (status, answer["reasons"]) == (503, ["Redis can't be written to."])
                assert system.request("GET", "/api/tasks")[0] == 200, "reading goes on"
                time.sleep(size.full_seconds)
                free_disk(system)
                freed_at = now()
                accepted_after = first_answer(submitter, 200, freed_at)
            submitter.join(size.jobs / size.per_second * 4 + 60)
        system.wait_until_final(size.jobs, 120)
        verdict = judge(
            verdict_of(system, "11 disk full, server", soak_seed, submitter, now() - freed_at)
        )
        note(
            f"11 server: s until 503 {refused_after:.2f}, until 200 {accepted_after:.2f}, "
            f"slowest 503 {longest(submitter, 503):.2f}"
        )
        assert verdict.finished == verdict.answered == size.jobs
        assert verdict.ran_twice == 0
        assert all(part.runs for part in parts), "no worker needs a restart"


@sizes(short=Disk(300, 150, 0, times=1), long=Disk(300, 150, 0, times=10))
def test_what_was_accepted_survives_a_full_disk_that_ends_the_server(
    size: Disk, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    """With `appendfsync always` a server that can't write ends before it answers."""
    options = ("--appendfsync", "always")
    for _ in range(size.times):
        with running_system(server_options=options, lease_seconds=2) as system:
            system.start_api()
            system.start_retry_worker()
            jobs = soak_jobs(size.jobs, 0, rng)
            with Submitter(system, jobs, batch=5, per_second=size.per_second) as submitter:
                wait_until(lambda: len(submitter.answered) >= 50, "some are accepted")
                fill_disk(system)
                first_answer(submitter, 503, now())
                wait_until(lambda: not server_runs(system), "the server ends")
                submitter.stop()
            system.server.start(*options)
            lost = lost_jobs(submitter.answered, (), system.inspector)
            assert lost == set()
            system.start_worker()
            total = sum(system.counts().values())
            system.wait_until_final(total, 60)
            judge(verdict_of(system, "11 disk full, always", soak_seed, submitter, 0))


def test_a_full_disk_under_the_journal_is_said_and_stops_nothing(tmp_path: Path) -> None:
    """The outcomes are told when Redis is back: the journal is for a crash in between."""
    gate = tmp_path / "gate"
    with running_system(lease_seconds=30, WORKER_CONCURRENCY="60") as system:
        system.start_retry_worker()
        # The limit is for all files of a process; a device has no size.
        worker = system.start_worker(SOAK_LOG="/dev/null")
        system.wait_for_workers(1)
        payload = f'{{"until": "{gate}"}}'
        ids = [system.queue.submit("soak", payload) for _ in range(60)]
        wait_until(lambda: system.counts()[Status.PROCESSING] == 60, "all run")
        limit(worker.pid, worker.log_file.stat().st_size + NOTHING_MORE_BYTES)
        system.server.kill()
        gate.touch()
        wait_until(lambda: "The journal can't be written" in worker.log(), "it says so")
        assert worker.runs
        limit(worker.pid, None)
        system.server.start()
        system.wait_until_final(60, 60)
        jobs = [system.inspector.job(job_id) for job_id in ids]
        assert {(job.status, job.attempts) for job in jobs} == {(Status.SUCCESS, 1)}


def fill_disk(system: System) -> None:
    """The server's files grow by no byte more."""
    largest = max(path.stat().st_size for path in (system.folder / "appendonlydir").glob("*.aof"))
    limit(server_pid(system), largest)


def free_disk(system: System) -> None:
    limit(server_pid(system), None)


def limit(pid: int, file_bytes: int | None) -> None:
    soft = resource.RLIM_INFINITY if file_bytes is None else file_bytes
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def server_pid(system: System) -> int:
    process = system.server._process
    assert process is not None
    return process.pid


def server_runs(system: System) -> bool:
    process = system.server._process
    return process is not None and process.poll() is None
