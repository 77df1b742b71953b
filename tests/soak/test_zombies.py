"""Scenario 8: a worker is stopped for three leases, and goes on as if nothing had happened."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from app.queue.job import Status
from tests.soak.judge import JobLog, Verdict
from tests.soak.scenario import Size, jobs_for, moments, sizes, verdict_by_log
from tests.soak.system import System, pid_in
from tests.soak.test_killed_workers import crew_of

LEASES = 3


@sizes(
    # The only worker is stopped: nobody can begin its jobs meanwhile.
    short=Size(300, 1, 0.02, workers=1, concurrency=8, lease_seconds=1),
    long=Size(10_000, 10, 0.1, 1, 16, lease_seconds=2, patience_seconds=900),
)
def test_what_a_zombie_tells_is_accepted_when_nobody_has_begun_since(
    size: Size, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    let_zombies_walk("8 zombies, nobody else", size, rng, soak_seed, judge)


@sizes(
    short=Size(500, 1, 0.05, workers=2, concurrency=8, lease_seconds=1),
    long=Size(20_000, 10, 0.1, 4, 16, lease_seconds=2, patience_seconds=900),
)
def test_what_a_zombie_tells_is_refused_when_somebody_has_begun_since(
    size: Size, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    let_zombies_walk("8 zombies among others", size, rng, soak_seed, judge)


def let_zombies_walk(
    name: str,
    size: Size,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
) -> None:
    with crew_of(size) as (system, workers):
        answered = system.submit(jobs_for(size, rng))

        in_hand: set[int] = set()
        for finished in moments(size, rng):
            system.wait_until_finished(finished, size.patience_seconds)
            zombie = rng.choice(workers)
            zombie.send(signal.SIGSTOP)
            in_hand |= system.in_hand(zombie)
            time.sleep(size.lease_seconds / 4)
            in_hand |= system.in_hand(zombie)  # a claim may have been under way to the server
            time.sleep(LEASES * size.lease_seconds)  # nothing to wait for but time itself
            zombie.send(signal.SIGCONT)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        log = system.log()
        verdict = judge(
            verdict_by_log(
                f"{name}: {system.totals()['late']} late",
                soak_seed,
                system,
                log,
                submitted=size.jobs,
                answered=answered,
                recovery_seconds=recovery,
            )
        )
        totals = system.totals()
        assert verdict.finished == size.jobs
        assert system.counts()[Status.SUCCESS] == size.jobs
        assert totals["died"] > 0
        others = log.ran_twice - in_hand
        assert others == system.starved(others, set())
        # Done twice is possible here, and then it is counted.
        assert verdict.done_twice <= verdict.suspected
        workers_pids = {worker.pid for worker in workers}
        begun_too_late = others_began_last(system, log, in_hand, workers_pids)
        # At the most the one that a thread was about to begin when it was stopped.
        assert len(begun_too_late) <= size.faults, begun_too_late


def others_began_last(
    system: System, log: JobLog, in_hand: set[int], worker_pids: set[int]
) -> list[int]:
    """The jobs that were begun last by a worker whose word did not count, as it was not theirs."""
    return [
        job_id
        for job_id in in_hand & log.pids.keys()
        # and not by a child of one
        if (began_last := log.pids[job_id][-1]) in worker_pids
        and pid_in(system.inspector.job(job_id).worker) != began_last
    ]
