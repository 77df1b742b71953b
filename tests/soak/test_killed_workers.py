"""Scenario 1: workers are killed, at random, under load."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.soak.judge import Verdict, lost_jobs
from tests.soak.scenario import Size, sizes
from tests.soak.system import System, running_system

RECOVERY_SECONDS = 15.0  # beyond the lease


@sizes(
    short=Size(2_000, 5, 0.01, workers=2, concurrency=8, lease_seconds=2, patience_seconds=60),
    long=Size(
        100_000, 100, 0.04, workers=4, concurrency=16, lease_seconds=10, patience_seconds=1800
    ),
)
def test_no_job_is_lost_when_workers_are_killed_under_load(
    size: Size, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    with running_system(
        lease_seconds=size.lease_seconds, WORKER_CONCURRENCY=str(size.concurrency)
    ) as system:
        system.start_api()
        system.start_retry_worker()
        workers = [system.start_worker() for _ in range(size.workers)]
        system.wait_for_workers(size.workers)
        answered = system.submit(
            [
                {
                    "job_type": "soak",
                    "payload": {"seconds": round(rng.uniform(0, 2 * size.seconds), 4)},
                }
                for _ in range(size.jobs)
            ]
        )

        in_hand = kill_at_random(system, workers, size, rng)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        log = system.log()
        verdict = judge(
            Verdict(
                f"1 {size.jobs:,} jobs, {size.faults} workers killed",
                soak_seed,
                submitted=size.jobs,
                answered=len(answered),
                finished=len(log.finished),
                lost=len(lost_jobs(answered, log.finished, system.inspector)),
                ran_twice=len(log.ran_twice),
                done_twice=len(log.done_twice),
                suspected=system.suspected(),
                recovery_seconds=recovery,
            )
        )
        assert verdict.finished == size.jobs
        assert log.ran_twice <= in_hand


def kill_at_random(system: System, workers: list, size: Size, rng: random.Random) -> set[int]:
    """Kills spread over the whole run; returns the jobs that were in hand at any of them."""
    in_hand: set[int] = set()
    for number in range(size.faults):
        share = (number + rng.random()) / (size.faults + 1)
        system.wait_until_finished(int(size.jobs * share), size.patience_seconds)
        at = rng.randrange(len(workers))
        workers[at].kill()
        in_hand |= system.in_hand(workers[at])
        workers[at] = system.restart(workers[at])
    return in_hand
