"""Scenario 12: the master dies, and sentinels promote its replica."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak.judge import Verdict
from tests.soak.outage import figures, first_answer, now, resumed_after, soak_jobs, verdict_of
from tests.soak.scenario import sizes
from tests.soak.sentinels import MASTER, watched_servers
from tests.soak.submitting import Submitter
from tests.soak.system import running_system


@dataclass(frozen=True, slots=True)
class Failovers:
    jobs: int
    per_second: float
    kills: int
    down_after_ms: int
    lease_seconds: float


@sizes(
    short=Failovers(300, 100, kills=1, down_after_ms=2_000, lease_seconds=3),
    long=Failovers(15_000, 100, kills=10, down_after_ms=2_000, lease_seconds=10),
)
def test_no_accepted_job_is_lost_in_a_failover(
    size: Failovers,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    """With DURABILITY=replicated. What failed over may have forgotten an outcome, so a job may run
    again; a submission that was answered is never forgotten."""
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-sentinel-", dir="/tmp") as folder,
        watched_servers(Path(folder), down_after_ms=size.down_after_ms) as servers,
        running_system(
            url=servers.url,
            lease_seconds=size.lease_seconds,
            REDIS_SENTINELS=servers.addresses,
            REDIS_SENTINEL_MASTER=MASTER,
            DURABILITY="replicated",
            WORKER_CONCURRENCY="8",
        ) as system,
    ):
        system.start_api()
        parts = [system.start_retry_worker(), system.start_worker()]
        system.wait_for_workers(1)
        promoted, resumed, accepted = [], [], []
        jobs = soak_jobs(size.jobs, 0.02, rng)
        with Submitter(system, jobs, batch=5, per_second=size.per_second) as submitter:
            for _ in range(size.kills):
                time.sleep(rng.uniform(0.3, 1.0))
                dead = servers.kill_master()
                killed_at = now()
                first_answer(submitter, 503, killed_at)
                servers.wait_for_promotion(dead)
                promoted_at, promoted_time = now(), time.time()
                promoted.append(promoted_at - killed_at)
                resumed.append(resumed_after(system, promoted_time))
                servers.restart(dead)
                # Not before there is a replica again: that is what the caller asked for.
                accepted.append(first_answer(submitter, 200, now()))
            last_at = now()
            submitter.join(size.jobs / size.per_second * 4 + 60)
        system.wait_until_final(len(submitter.answered), 180)
        verdict = judge(
            verdict_of(
                system,
                f"12 master killed {size.kills} times",
                soak_seed,
                submitter,
                now() - last_at,
            )
        )
        note(
            f"12: median / most s until the promotion {figures(promoted)}, from there until a job "
            f"begins {figures(resumed)}, from a whole pair until 200 {figures(accepted)}"
        )
        assert verdict.finished == verdict.answered == size.jobs
        assert all(part.runs for part in parts), "no worker needs a restart"
