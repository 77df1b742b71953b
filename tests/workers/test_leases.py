"""Leases are renewed while jobs run; who lost one stops."""

from __future__ import annotations

import signal

from app.queue.job import Status
from tests.workers.processes import RETRY, System, wait_until


def test_a_job_three_leases_long_runs_once(system: System) -> None:
    system.start(RETRY, LEASE_SECONDS="2")
    worker = system.start(LEASE_SECONDS="2")
    job_id = system.queue.submit("loops", {"seconds": 6})

    job = system.wait_for(job_id, Status.SUCCESS)

    assert (job.attempts, job.deaths) == (1, 0)
    assert system.runs(job_id) == [worker.pid]
    assert system.totals()["died"] == 0


def test_a_worker_that_was_frozen_stops_what_another_has_begun(system: System) -> None:
    system.start(RETRY, LEASE_SECONDS="1")
    # No slot is free: what waits for work may claim while the process is frozen.
    frozen = system.start(LEASE_SECONDS="2", WORKER_CONCURRENCY="1")
    until = system.folder / "until"
    job_id = system.queue.submit("loops", {"until": str(until)})
    system.wait_for_run(job_id)
    wait_until(lambda: not free_slots(system, frozen.pid), "it has said that it runs the job")
    frozen.send(signal.SIGSTOP)
    awake = system.start(LEASE_SECONDS="60")  # it loses none while the machine stalls
    system.wait_for_run(job_id, 2)

    frozen.send(signal.SIGCONT)
    wait_until(lambda: free_slots(system, frozen.pid), "the frozen worker has let go of the job")
    until.touch()

    job = system.wait_for(job_id, Status.SUCCESS)
    assert (job.attempts, job.deaths, job.retry_count) == (2, 1, 0)
    assert len(system.runs(job_id, "end")) == 1
    assert frozen.runs
    assert awake.runs


def free_slots(system: System, pid: int) -> bool:
    """Whether the worker with this pid says that it runs nothing."""
    [details] = [w.details for w in system.inspector.workers() if w.details["pid"] == pid]
    return details["busy"] == 0
