"""`timeout_seconds`: Python code is interrupted; what can't be ends with its process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.queue.job import Status
from tests.workers.processes import RETRY, System, is_gone, wait_until


def test_a_python_loop_is_interrupted_and_the_attempt_fails(system: System) -> None:
    system.start(RETRY)
    worker = system.start(WORKER_CONCURRENCY="1")
    job_id = system.queue.submit("loops_timed", {}, max_retries=2)

    job = system.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.retry_count, job.deaths) == (2, 0)
    assert job.last_error == "Timed out after 0.5 s."
    assert system.outcomes(job_id) == ["failed", "permanently_failed"]
    after = system.queue.submit("loops", {"seconds": 1})
    assert system.wait_for(after, Status.SUCCESS).result == "finished"
    assert system.runs(after) == [worker.pid]


def test_a_job_blocked_in_c_code_costs_the_process_and_no_neighbour(system: System) -> None:
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(LEASE_SECONDS="2")
    until = system.folder / "until"
    blocked = system.queue.submit("blocks_once_timed")
    neighbour = system.queue.submit("loops", {"until": str(until)})
    for job_id in (blocked, neighbour):
        system.wait_for_run(job_id)
    wait_until(lambda: "does not stop after its time-out" in first.log(), "it is given up")
    cpu_seconds = cpu_seconds_of(first.pid)
    system.wait_for(blocked, Status.PENDING)  # about a lease later
    cpu_seconds = cpu_seconds_of(first.pid) - cpu_seconds
    assert first.runs, "it waits for the neighbour"
    until.touch()

    assert first.exit_code() == 3

    assert system.wait_for(neighbour, Status.SUCCESS).deaths == 0
    assert system.runs(neighbour) == [first.pid]
    assert cpu_seconds < 0.7, "it waited for the neighbour without spinning"
    second = system.start(LEASE_SECONDS="2")
    job = system.wait_for(blocked, Status.SUCCESS)
    assert (job.deaths, job.retry_count) == (1, 0)
    assert system.outcomes(blocked) == ["died", "success"]
    assert system.runs(blocked)[1] not in (first.pid, second.pid)


@pytest.mark.parametrize("job_type", ["loops_timed", "blocks_timed"])
def test_a_child_process_is_killed_at_the_time_out_of_its_job(
    system: System, job_type: str
) -> None:
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(LEASE_SECONDS="2")
    payload = {"seconds": 600, "dies_first": True}
    job_id = system.queue.submit(job_type, payload, max_retries=1)
    assert first.exit_code() == -9
    second = system.start(LEASE_SECONDS="2")

    job = system.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.deaths, job.retry_count) == (1, 1)
    assert job.last_error == "Timed out after 0.5 s."
    # That it began shows that the start of the process doesn't count.
    child = system.runs(job_id)[1]
    wait_until(lambda: is_gone(child), "the child process is gone")
    assert second.runs


def cpu_seconds_of(pid: int) -> float:
    """What the process has used; where there is no /proc, nothing is known and nothing is used."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
