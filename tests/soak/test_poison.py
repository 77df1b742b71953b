"""Scenario 7: jobs that kill their process, among many that are innocent."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from app.queue.job import FINAL, Status
from tests.soak.judge import Verdict
from tests.soak.scenario import Size, jobs_for, sizes, verdict_by_log
from tests.soak.system import Part, System
from tests.soak.test_killed_workers import crew_of

DEATHS = 3


@sizes(
    short=Size(300, 3, 0.005, workers=2, concurrency=4, lease_seconds=2),
    long=Size(10_000, 10, 0.01, 4, 16, lease_seconds=10, patience_seconds=600),
)
def test_poison_ends_after_three_deaths_and_everybody_else_succeeds(
    size: Size, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    with crew_of(size) as (system, workers):
        jobs = jobs_for(size, rng)
        poisoned_at = set(rng.sample(range(size.jobs), size.faults))
        for at in poisoned_at:
            jobs[at]["job_type"] = "soak_poison"
        answered = system.submit(jobs)
        poison = {answered[at] for at in poisoned_at}

        recovery = restart_until_final(system, workers, size)

        log = system.log()
        verdict = judge(
            verdict_by_log(
                f"7 {size.faults} poison jobs",
                soak_seed,
                system,
                log,
                submitted=size.jobs,
                answered=answered,
                recovery_seconds=recovery,
            )
        )
        assert verdict.finished == size.jobs - size.faults
        counts = system.counts()
        assert counts[Status.PERMANENTLY_FAILED] == size.faults
        assert counts[Status.SUCCESS] == size.jobs - size.faults
        for job_id in poison:
            job = system.inspector.job(job_id)
            assert (job.status, job.deaths) == (Status.PERMANENTLY_FAILED, DEATHS)
            assert job.last_error == "poison: its worker died 3 times"
            outcomes = [attempt.outcome for attempt in system.inspector.attempts(job_id)]
            assert outcomes.count("died") == DEATHS
            # The first death may have been its neighbour's doing, before it was begun itself.
            assert DEATHS - 1 <= len(set(log.pids[job_id])) <= DEATHS


def restart_until_final(system: System, workers: list[Part], size: Size) -> float:
    """Starts another worker for each that died; how long it took from the last death on."""
    died_at = time.monotonic()
    deadline = time.monotonic() + size.patience_seconds
    while True:
        counts = system.counts()
        if sum(counts[status] for status in FINAL) >= size.jobs:
            return time.monotonic() - died_at
        assert time.monotonic() < deadline, counts
        for at, worker in enumerate(workers):
            if not worker.runs:
                died_at = time.monotonic()
                workers[at] = system.restart(worker)
        time.sleep(0.05)
