"""Scenario 10: everything is restarted in turn, in order, under load."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from app.queue.job import Status
from tests.soak.judge import Verdict
from tests.soak.scenario import Size, jobs_for, sizes, verdict_by_log
from tests.soak.submitting import Submitter
from tests.soak.system import running_system


@sizes(
    short=(Size(500, 1, 0.03, workers=2, concurrency=4, lease_seconds=2), 0.2),
    long=(Size(60_000, 9, 0.15, 4, 16, lease_seconds=10, patience_seconds=900), 20.0),
)
def test_nothing_is_lost_done_twice_or_charged_in_a_rolling_restart(
    size: tuple[Size, float],
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
) -> None:
    size, every_seconds = size
    with running_system(
        lease_seconds=size.lease_seconds, WORKER_CONCURRENCY=str(size.concurrency)
    ) as system:
        parts = [system.start_api(), system.start_retry_worker()]
        parts += [system.start_worker() for _ in range(size.workers)]
        system.wait_for_workers(size.workers)
        half_load = size.workers * size.concurrency / size.seconds / 2
        with Submitter(system, jobs_for(size, rng), batch=50, per_second=half_load) as submitter:
            for _ in range(size.faults):
                time.sleep(every_seconds)  # the load goes on meanwhile
                for at, part in enumerate(parts):
                    assert part.stop() == 0, part.log()
                    parts[at] = system.restart(part)
            submitter.join(size.patience_seconds)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        verdict = judge(
            verdict_by_log(
                f"10 {size.faults} rolling restarts",
                soak_seed,
                system,
                system.log(),
                submitted=submitter.submitted,
                answered=submitter.answered,
                recovery_seconds=recovery,
            )
        )
        totals = system.totals()
        assert verdict.submitted == verdict.answered == verdict.finished == size.jobs
        assert system.counts()[Status.SUCCESS] == size.jobs
        assert verdict.ran_twice == verdict.suspected == 0
        assert totals["died"] == totals["failed"] == totals["late"] == 0
