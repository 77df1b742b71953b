"""Scenario 2: the retry worker, the API and the supervisor are killed, at random, under load."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

from app.queue.job import Status
from tests.soak.judge import Verdict
from tests.soak.scenario import Size, jobs_for, moments, sizes, verdict_by_log
from tests.soak.submitting import Submitter
from tests.soak.system import Part, System, running_system
from tests.start.running import command_line, pids_of
from tests.workers.processes import wait_until

VICTIMS = {"retry worker": "workers.retry_worker", "API": "gunicorn", "supervisor": ""}


@sizes(
    short=Size(600, 3, 0.01, workers=1, concurrency=8, lease_seconds=2),
    long=Size(30_000, 15, 0.05, 2, 16, lease_seconds=10, patience_seconds=900),
)
def test_no_job_is_lost_or_done_twice_when_everything_but_workers_is_killed(
    size: Size, rng: random.Random, soak_seed: int, judge: Callable[[Verdict], Verdict]
) -> None:
    with running_system(
        with_server=False,
        lease_seconds=size.lease_seconds,
        WORKER_PROCESSES=str(size.workers),
        WORKER_CONCURRENCY=str(size.concurrency),
    ) as system:
        supervisor = system.start_supervisor()
        # Half of them fail at first, so that without promotion they never end.
        half = size.jobs // 2
        jobs = jobs_for(size, rng)[:half] + jobs_for(size, rng, "soak_flaky")[half:]
        rng.shuffle(jobs)
        # About as fast as they are done: submissions come from the first kill to the last.
        per_second = 0.9 * size.workers * size.concurrency / size.seconds
        batch = max(10, size.jobs // 300)
        with Submitter(system, jobs, batch=batch, per_second=per_second) as submitter:
            names = (list(VICTIMS) * size.faults)[: size.faults]
            rng.shuffle(names)
            for finished, name in zip(moments(size, rng), names, strict=True):
                wait_until_done(system, finished, size.patience_seconds)
                supervisor = kill(system, supervisor, name)
            submitter.join(size.patience_seconds)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        log = system.log()
        verdict = judge(
            verdict_by_log(
                f"2 {size.faults} kills of all but workers",
                soak_seed,
                system,
                log,
                submitted=submitter.submitted,
                answered=submitter.answered,
                recovery_seconds=recovery,
            )
        )
        assert verdict.submitted == verdict.answered == verdict.finished == size.jobs
        # The same keys again: what was submitted without an answer is no second job.
        assert system.counts()[Status.SUCCESS] == size.jobs
        assert verdict.ran_twice == 0
        # Its client must have met a dead API; that of the short form may be done before.
        noticed = any(answer.status != 200 for answer in submitter.answers)
        assert noticed or size.jobs < 1_000


def wait_until_done(system: System, count: int, seconds: float) -> None:
    """By the jobs' log, for the server may be away."""
    wait_until(lambda: len(system.log().finished) >= count, f"{count} are done", seconds)


def kill(system: System, supervisor: Part, name: str) -> Part:
    """Kills one of them; the supervisor starts the others again, the test starts the supervisor.

    Returns the supervisor.
    """
    if name == "supervisor":
        supervisor.kill()
        supervisor = system.restart(supervisor)
        system.wait_for_api(60)
        return supervisor
    found = [pid for pid in pids_of(system.folder) if VICTIMS[name] in command_line(pid)]
    if found:  # else it was killed a moment ago
        os.kill(min(found), signal.SIGKILL)
    return supervisor
