"""Scenarios 3 and 4: the Redis server is killed, or frozen, under load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pytest

from tests.soak.judge import Verdict
from tests.soak.outage import (
    figures,
    first_answer,
    longest,
    now,
    resumed_after,
    soak_jobs,
    submit_one,
    verdict_of,
)
from tests.soak.scenario import sizes
from tests.soak.submitting import Submitter
from tests.soak.system import running_system


@dataclass(frozen=True, slots=True)
class Outages:
    jobs: int  # at most: submitted until the last kill
    per_second: float
    kills: int
    lease_seconds: float
    long_outage_seconds: float  # of every third kill; longer than the lease
    workers: int


@pytest.mark.parametrize("fsync", ["as embedded", "always"])
@sizes(
    short=Outages(9_000, 150, 3, lease_seconds=2, long_outage_seconds=2.2, workers=1),
    long=Outages(60_000, 60, 30, lease_seconds=5, long_outage_seconds=8, workers=2),
)
def test_no_job_is_lost_when_the_server_is_killed_under_load(
    size: Outages,
    fsync: str,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    options = ("--appendfsync", fsync) if fsync == "always" else ()
    with running_system(
        server_options=options, lease_seconds=size.lease_seconds, WORKER_CONCURRENCY="8"
    ) as system:
        system.start_api()
        parts = [system.start_retry_worker(), *(system.start_worker() for _ in range(size.workers))]
        system.wait_for_workers(size.workers)
        jobs = soak_jobs(size.jobs, 0.02, rng)
        refused_after, accepted_after, resumed = [], [], []
        with Submitter(system, jobs, batch=10, per_second=size.per_second) as submitter:
            for number in range(size.kills):
                time.sleep(rng.uniform(0.2, 0.8))
                system.server.kill()
                cut_at = now()
                refused_after.append(first_answer(submitter, 503, cut_at))
                status, retry_after, _ = submit_one(system)
                assert (status, retry_after) == (503, "2")
                if number % 3 == 0:
                    time.sleep(size.long_outage_seconds)
                system.server.start(*options)
                ready_at, ready_time = now(), time.time()
                accepted_after.append(first_answer(submitter, 200, ready_at))
                resumed.append(resumed_after(system, ready_time))
            last_at = now()
            submitter.stop()
        system.wait_until_final(sum(system.counts().values()), 120)
        verdict = judge(
            verdict_of(
                system,
                f"3 Redis killed {size.kills} times, {fsync}",
                soak_seed,
                submitter,
                now() - last_at,
            )
        )
        note(
            f"3 {fsync}: median / most s until 503 {figures(refused_after)}, "
            f"until 200 {figures(accepted_after)}, until a job begins {figures(resumed)}, "
            f"slowest 503 {longest(submitter, 503):.2f}"
        )
        assert verdict.finished == verdict.answered
        assert verdict.ran_twice == 0, "an outage longer than the lease must not send all again"
        assert all(part.runs for part in parts), "no worker needs a restart"


@dataclass(frozen=True, slots=True)
class Freeze:
    jobs: int
    per_second: float
    seconds: float
    lease_seconds: float


@sizes(
    short=Freeze(400, 150, seconds=6, lease_seconds=2),
    long=Freeze(8_000, 100, seconds=20, lease_seconds=5),
)
def test_no_thread_hangs_and_no_job_is_lost_when_the_server_is_frozen(
    size: Freeze,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    with running_system(lease_seconds=size.lease_seconds, WORKER_CONCURRENCY="8") as system:
        system.start_api()
        retry_worker = system.start_retry_worker()
        worker = system.start_worker(LOG_LEVEL="DEBUG")
        system.wait_for_workers(1)
        jobs = soak_jobs(size.jobs, 0.02, rng)
        with Submitter(system, jobs, batch=10, per_second=size.per_second) as submitter:
            time.sleep(0.5)
            system.server.freeze()
            frozen_at, frozen_time = now(), time.time()
            refused_after = first_answer(submitter, 503, frozen_at)
            time.sleep(max(0.0, frozen_at + size.seconds - now()))
            system.server.thaw()
            thawed_at = now()
            accepted_after = first_answer(submitter, 200, thawed_at)
            submitter.join(size.jobs / size.per_second * 4 + 60)
        system.wait_until_final(size.jobs, 120)
        verdict = judge(
            verdict_of(
                system,
                f"4 Redis frozen for {size.seconds:g} s",
                soak_seed,
                submitter,
                now() - thawed_at,
            )
        )
        waits = waits_of_threads(worker.log(), frozen_time)
        note(
            f"4: s until 503 {refused_after:.2f}, until 200 {accepted_after:.2f}, slowest request "
            f"{max(one.seconds for one in submitter.answers):.2f}, worker's threads waited "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in waits.items())
        )
        assert verdict.finished == verdict.answered == size.jobs
        assert verdict.ran_twice == 0
        assert worker.runs and retry_worker.runs
        assert waits, "a thread noticed"


def waits_of_threads(log: str, frozen_at: float) -> dict[str, float]:
    """By thread of a worker: the most seconds that it waited for an answer, as its log says."""
    said = {"Waiting for Redis": "main", "Leases not renewed": "keeper", "No marker": "wake"}
    moments: dict[str, list[float]] = {}
    for line in log.splitlines():
        for words, thread in said.items():
            if f": {words}" in line:
                moment = datetime.fromisoformat(line.partition(" ")[0]).timestamp()
                moments.setdefault(thread, [frozen_at]).append(moment)
    return {
        thread: max(after - before for before, after in pairwise(sorted(found)))
        for thread, found in moments.items()
    }
