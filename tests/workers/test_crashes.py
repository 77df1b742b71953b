"""Workers that die, and jobs that kill them."""

from __future__ import annotations

import os
import signal
from collections import Counter

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.processes import RETRY, System, is_gone, wait_until
from workers.crew import AHEAD_SECONDS


def test_no_job_is_lost_when_a_worker_is_killed_in_the_middle_of_a_thousand(
    system: System,
) -> None:
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(LEASE_SECONDS="2")
    system.queue.submit_many([NewJob("noted")] * 1000)
    wait_until(lambda: system.inspector.counts()[Status.SUCCESS] >= 300, "300 are finished")
    first.kill()
    second = system.start(LEASE_SECONDS="2")

    system.wait_for_all(Status.SUCCESS, 1000)

    runs = Counter(job_id for job_id, _, _ in system.notes())
    assert sorted(runs) == list(range(1, 1001))
    # Only what the first one held may have run twice: as many jobs as it had threads, and those
    # that it had claimed ahead, because they are so short.
    held_at_most = 4 + 4 * AHEAD_SECONDS / 0.002
    assert runs.total() - 1000 <= held_at_most
    totals = system.totals()
    assert 1 <= totals["died"] <= held_at_most
    assert totals["succeeded"] == 1000
    assert second.runs


def test_a_job_that_kills_its_process_is_given_up_and_its_neighbours_succeed(
    system: System,
) -> None:
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(LEASE_SECONDS="2")
    go, finish = system.folder / "go", system.folder / "finish"
    poison = system.queue.submit("kills_its_process", {"until": str(go)})
    neighbours = [system.queue.submit("loops", {"until": str(finish)}) for _ in range(3)]
    for job_id in (poison, *neighbours):
        assert system.wait_for_run(job_id) == first.pid
    go.touch()
    assert first.exit_code() == -9

    second = system.start(LEASE_SECONDS="2", WORKER_CONCURRENCY="5")
    unharmed = system.queue.submit("loops", {"until": str(finish)})
    dead = system.wait_for(poison, Status.PERMANENTLY_FAILED)
    for job_id in neighbours:
        system.wait_for_run(job_id, 2)
    finish.touch()

    assert (dead.deaths, dead.retry_count) == (3, 0)
    assert dead.last_error == "poison: its worker died 3 times"
    assert system.outcomes(poison) == ["died", "died", "died"]
    pids = system.runs(poison)
    assert len(set(pids)) == 3, "after its first death it had a process of its own each time"
    assert second.pid not in pids
    for job_id in neighbours:
        job = system.wait_for(job_id, Status.SUCCESS)
        assert (job.deaths, job.retry_count) == (1, 0)
        assert system.outcomes(job_id) == ["died", "success"]
    assert system.wait_for(unharmed, Status.SUCCESS).deaths == 0
    assert system.runs(unharmed) == [second.pid]
    assert second.runs


def test_a_job_that_runs_alone_ends_with_its_worker(system: System) -> None:
    job_id = system.run_alone("loops")
    child = system.runs(job_id)[1]

    system.workers[-1].kill()

    wait_until(lambda: is_gone(child), "the child process is gone")


def test_a_signal_to_all_processes_of_a_worker_is_no_death_of_its_jobs(system: System) -> None:
    """What systemd does when it stops a service."""
    job_id = system.run_alone("loops", {"until": str(system.folder / "until")})
    worker, child = system.workers[-1], system.runs(job_id)[1]

    for pid in (child, worker.pid):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: "Stopping: 1 jobs" in worker.log(), "the worker has heard")
    (system.folder / "until").touch()

    assert worker.exit_code() == 0
    job = system.job(job_id)
    assert (job.status, job.deaths, job.retry_count) == (Status.SUCCESS, 1, 0)


def test_a_subclass_runs_the_jobs_also_those_that_run_alone(system: System) -> None:
    module = "tests.workers.shouting_worker"
    system.start(RETRY, LEASE_SECONDS="2")
    first = system.start(module, LEASE_SECONDS="2")
    until = system.folder / "until"
    usual = system.queue.submit("echo", {"a": 1})
    killed = system.queue.submit("loops", {"until": str(until)})
    assert system.wait_for(usual, Status.SUCCESS).result == {"shouted": {"a": 1}}
    system.wait_for_run(killed)
    first.kill()
    until.touch()
    second = system.start(module, LEASE_SECONDS="2")

    job = system.wait_for(killed, Status.SUCCESS)

    assert job.result == {"shouted": "finished"}
    assert job.deaths == 1
    assert system.runs(killed)[1] != second.pid
