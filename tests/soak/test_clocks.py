"""Scenario 9: the clocks of the machines are an hour wrong; only the server's counts.

libfaketime (Debian: libfaketime) makes them so. A time-out is by the monotonic clock, which it is
told to leave alone, as a machine with a wrong clock has a right one.
"""

from __future__ import annotations

import glob
import os
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from app.queue.job import Job, Status
from tests.soak.judge import Verdict
from tests.soak.outage import now, verdict_of
from tests.soak.scenario import sizes
from tests.soak.submitting import Submitter
from tests.soak.system import System, running_system
from tests.workers.processes import ROOT

HOUR_SECONDS = 3600
ALLOWED_SECONDS = 30.0  # between two readings, on a machine that is busy


@pytest.fixture
def wrong_clock() -> Callable[[str], dict[str, str]]:
    """Settings for a process whose clock is wrong by, say, `+1h`."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        reason = "there is no libfaketime (Debian: apt-get install libfaketime)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return lambda offset: {
        "LD_PRELOAD": found[0],
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": f"{Path(__file__).parent / 'wrong_clock'}:{ROOT}",
        # gunicorn keeps heartbeats of the monotonic clock in the time stamp of a file.
        "NO_FAKE_STAT": "1",
    }


@dataclass(frozen=True, slots=True)
class Amount:
    jobs: int
    long_jobs: int
    long_seconds: float  # of these; several leases
    lease_seconds: float


@sizes(
    short=Amount(60, long_jobs=2, long_seconds=7, lease_seconds=3),
    long=Amount(5_000, long_jobs=8, long_seconds=60, lease_seconds=5),
)
@pytest.mark.parametrize("ahead", [1, -1], ids=["fast", "slow"])
def test_wrong_clocks_change_nothing(
    size: Amount,
    ahead: int,
    wrong_clock: Callable[[str], dict[str, str]],
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
) -> None:
    """The API and one worker are wrong in one direction, the rest in the other."""
    these, others = wrong_clock(f"{ahead:+d}h"), wrong_clock(f"{-ahead:+d}h")
    with running_system(
        lease_seconds=size.lease_seconds, WORKER_CONCURRENCY="8", RETRY_BASE_SECONDS="2"
    ) as system:
        system.start_api(**these)
        parts = [
            system.start_worker(**these),
            system.start_worker(**others),
            system.start_retry_worker(**others),
        ]
        system.wait_for_workers(2)
        due_at = round(system.inspector.now()) + 4
        jobs = [
            {"job_type": "soak", "payload": {"seconds": size.long_seconds}}
            for _ in range(size.long_jobs)
        ]
        jobs += [{"job_type": "soak", "payload": {"seconds": 0.01}} for _ in range(size.jobs)]
        jobs += [{"job_type": "soak", "payload": {}, "delay_seconds": 2}]
        jobs += [{"job_type": "soak", "payload": {}, "run_at": due_at}]
        jobs += [{"job_type": "soak_once_failing", "payload": {}}]
        began_at = system.inspector.now()
        with Submitter(system, jobs) as submitter:
            submitter.join(20)
        began = now()
        system.wait_until_final(len(jobs), 60 + 3 * size.long_seconds)
        verdict = judge(
            verdict_of(
                system,
                f"9 clocks an hour {'fast' if ahead > 0 else 'slow'}",
                soak_seed,
                submitter,
                now() - began,
            )
        )
        totals = system.totals()
        assert verdict.finished == len(jobs)
        assert totals["died"] == totals["late"] == totals["lost"] == 0, "no early reap"
        assert totals["retried"] == 1
        delayed, timed, failing = (system.inspector.job(i) for i in submitter.answered[-3:])
        assert_times_are_right(system, submitter.answered, began_at)
        assert began_of(delayed) - delayed.created_at >= 2
        assert began_of(timed) >= due_at
        first, second = system.inspector.attempts(failing.id)
        assert second.started_at is not None
        # Full jitter of 2 s, but at least 1 s.
        assert 1 <= second.started_at - first.ended_at < ALLOWED_SECONDS, "no early or late retry"
        assert_pages_are_right(system)
        assert all(part.runs for part in parts)


def began_of(job: Job) -> float:
    assert job.picked_at is not None
    return job.picked_at


def assert_times_are_right(system: System, ids: list[int], began_at: float) -> None:
    ended_at = system.inspector.now()
    assert abs(time.time() - ended_at) < ALLOWED_SECONDS, "the test's own clock"
    for job in (system.inspector.job(i) for i in ids):
        assert job.status is Status.SUCCESS and job.completed_at is not None
        assert began_at <= job.created_at <= began_of(job) <= job.completed_at <= ended_at


def assert_pages_are_right(system: System) -> None:
    """What workers say of themselves, and what the page says of it: nobody is silent or stuck."""
    near = system.inspector.now()
    status, answer = system.request("GET", "/api/workers")
    assert status == 200 and len(answer["data"]) == 3
    for worker in answer["data"]:
        for name in ("last_seen_at", "started_at"):
            assert abs(worker[name] - near) < 5 * ALLOWED_SECONDS, (name, worker)
    assert system.request("GET", "/api/stats")[1]["data"]["workers_alive"] == 2
    for path in ("/dashboard", "/dashboard/workers"):
        with urllib.request.urlopen(f"http://127.0.0.1:{system.port}{path}", timeout=15) as found:
            page = found.read().decode()
        moments = re.findall(r'<time[^>]* datetime="?([^">\s]+)', page)
        assert moments, path
        for moment in moments:
            seconds = datetime.fromisoformat(moment).timestamp()
            assert abs(seconds - near) < 5 * ALLOWED_SECONDS, (path, moment)
        assert ">Silent<" not in page and ">Claims nothing<" not in page
