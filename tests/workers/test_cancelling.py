"""A person cancels a job while it runs."""

from __future__ import annotations

from app.queue.job import Status
from tests.workers.processes import System, is_gone, wait_until


def test_a_running_job_is_interrupted_when_it_is_cancelled(system: System) -> None:
    worker = system.start(WORKER_CONCURRENCY="1", LEASE_SECONDS="2")
    job_id = system.queue.submit("loops")
    system.wait_for_run(job_id)

    assert system.queue.cancel(job_id) is False

    job = system.wait_for(job_id, Status.CANCELLED)
    assert (job.retry_count, job.deaths) == (0, 0)
    [attempt] = system.attempts(job_id)
    assert (attempt.outcome, attempt.error) == ("cancelled", "Cancelled while running.")
    after = system.queue.submit("loops", {"seconds": 1})
    assert system.wait_for(after, Status.SUCCESS).result == "finished"
    assert system.runs(after) == [worker.pid]


def test_cancelling_a_job_that_runs_alone_ends_its_process_and_what_it_started(
    system: System,
) -> None:
    job_id = system.run_alone("starts_a_program")
    child = system.runs(job_id)[1]
    program = wait_until(lambda: programs_of(system, job_id, child), "it has started its program")

    system.queue.cancel(job_id)

    job = system.wait_for(job_id, Status.CANCELLED)
    assert (job.deaths, job.retry_count) == (1, 0)
    wait_until(lambda: is_gone(child), "the child process is gone")
    wait_until(lambda: is_gone(program), "the program is gone")
    assert system.workers[-1].runs


def programs_of(system: System, job_id: int, child: int) -> int | None:
    """The pid of the program that the job started in this process."""
    for noted_id, what, pid in system.notes():
        if (noted_id, pid) == (job_id, child) and what.startswith("program="):
            return int(what.partition("=")[2])
    return None
