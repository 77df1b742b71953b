"""What was in a dead worker's hand runs in child processes, quickly and without being blamed."""

from __future__ import annotations

import json
import os
import signal

from app.queue.job import Status
from tests.workers.processes import RETRY, System, is_gone, wait_until


def test_a_dead_workers_jobs_share_a_process(system: System) -> None:
    until = system.folder / "until"
    job_ids = killed_with(system, [{"until": str(until)}] * 4)
    until.touch()
    second = system.start(LEASE_SECONDS="2")

    for job_id in job_ids:
        assert system.wait_for(job_id, Status.SUCCESS).deaths == 1

    pids = {system.runs(job_id)[1] for job_id in job_ids}
    assert second.pid not in pids
    assert len(pids) < len(job_ids)


def test_long_ones_do_not_wait_for_each_other(system: System) -> None:
    until = system.folder / "until"
    job_ids = killed_with(system, [{"until": str(until)}] * 3)
    system.start(LEASE_SECONDS="2")

    pids = {system.wait_for_run(job_id, 2) for job_id in job_ids}

    assert len(pids) == 3
    until.touch()
    system.wait_for_all(Status.SUCCESS, 3)


def test_their_processes_end_when_there_is_nothing_more_to_do(system: System) -> None:
    until = system.folder / "until"
    [job_id] = killed_with(system, [{"until": str(until)}])
    until.touch()
    system.start(LEASE_SECONDS="2")
    system.wait_for(job_id, Status.SUCCESS)

    wait_until(lambda: is_gone(system.runs(job_id)[1]), "the child process has ended")


def test_a_worker_that_stops_leaves_no_process_behind(system: System) -> None:
    until = system.folder / "until"
    [job_id] = killed_with(system, [{"until": str(until)}])
    until.touch()
    second = system.start(LEASE_SECONDS="2")
    system.wait_for(job_id, Status.SUCCESS)

    assert second.stop() == 0

    assert is_gone(system.runs(job_id)[1])


def test_a_process_that_died_between_two_jobs_is_replaced_and_no_job_pays(system: System) -> None:
    until, then = system.folder / "until", system.folder / "then"
    first, other = killed_with(system, [{"until": str(until)}, {"until": str(then)}])
    until.touch()
    system.start(LEASE_SECONDS="2", WORKER_CONCURRENCY="1")
    system.wait_for(first, Status.SUCCESS)
    system.wait_for_run(other, 2)
    then.touch()
    system.wait_for(other, Status.SUCCESS)
    child = system.runs(other)[1]
    assert child == system.runs(first)[1]

    os.kill(child, signal.SIGKILL)
    # Under suspicion, as after a death of its own.
    third = system.queue.submit("echo", {"a": 1}, delay_ms=1000)
    record = json.loads(str(system.client.hget("Job_map", str(third))))
    system.client.hset("Job_map", str(third), json.dumps(record | {"deaths": 1}))

    job = system.wait_for(third, Status.SUCCESS)
    assert job.deaths == 1
    assert system.runs(third)[0] != child


def test_a_worker_that_dies_before_it_begins_a_job_again_does_not_charge_it(system: System) -> None:
    until = system.folder / "until"
    [job_id] = killed_with(system, [{"until": str(until)}])
    settings = {
        "LEASE_SECONDS": "2",
        "JOB_MODULES": "tests.workers.job_types,tests.workers.slow_to_load",
    }
    for attempts in (2, 3, 4):
        worker = system.start(**settings)
        wait_until(lambda n=attempts: system.job(job_id).attempts == n, "it is claimed")
        worker.kill()
        system.wait_for(job_id, Status.PENDING)
    system.runs_file.with_name("runs.load").touch()
    until.touch()
    system.start(**settings)

    assert system.wait_for(job_id, Status.SUCCESS).deaths == 1
    assert system.outcomes(job_id) == ["died", *["released"] * 3, "success"]


def killed_with(system: System, payloads: list[dict[str, str]]) -> list[int]:
    """Jobs that ran when their worker was killed."""
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(LEASE_SECONDS="2")
    job_ids = [system.queue.submit("loops", payload) for payload in payloads]
    for job_id in job_ids:
        system.wait_for_run(job_id)
    first.kill()
    return job_ids
