"""How workers leave: on request, at once, and when they can't talk to Redis."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System, WorkerProcess, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_finishes_what_runs(system: System, number: int) -> None:
    worker = system.start(WORKER_CONCURRENCY="2")
    until = system.folder / "until"
    running = [system.queue.submit("loops", {"until": str(until)}) for _ in range(2)]
    waiting = system.queue.submit("echo")
    for job_id in running:
        system.wait_for_run(job_id)

    worker.send(number)
    wait_until(lambda: "Stopping: 2 jobs" in worker.log(), "it has heard")
    until.touch()

    assert worker.exit_code() == 0
    for job_id in running:
        assert system.job(job_id).status == Status.SUCCESS
    assert system.job(waiting).status == Status.PENDING
    assert system.inspector.workers() == []


def test_jobs_that_no_thread_has_begun_are_given_back_and_pay_nothing(system: System) -> None:
    worker = system.start(WORKER_CONCURRENCY="2", LEASE_SECONDS="60")
    job_ids, until = claimed_ahead(system)

    worker.send(signal.SIGTERM)
    wait_until(lambda: system.inspector.counts()[Status.PENDING] == 8, "8 are given back")
    until.touch()

    assert worker.exit_code() == 0
    begun = [job_id for job_id in job_ids if system.runs(job_id)]
    assert len(begun) == 2
    for job_id in job_ids:
        job = system.job(job_id)
        assert (job.retry_count, job.deaths, job.token) == (0, 0, None)
        assert job.status == (Status.SUCCESS if job_id in begun else Status.PENDING)


def claimed_ahead(system: System) -> tuple[list[int], Path]:
    """Ten jobs that a worker of two threads holds, and the file that lets them finish.

    It claims ahead only while jobs are short. A stutter of the machine makes one look long.
    """
    for number in range(10):
        until = system.folder / f"until-{number}"
        jobs = [NewJob("noop")] * 200 + [NewJob("loops", f'{{"until": "{until}"}}')] * 10
        answers = system.queue.submit_many(jobs)
        job_ids = [answer.job_id for answer in answers[-10:]]
        wait_until(
            lambda ids=job_ids: sum(bool(system.runs(job_id)) for job_id in ids) >= 2,
            "two are running",
        )
        if system.inspector.counts()[Status.PROCESSING] == 10:
            return job_ids, until
        until.touch()
        system.wait_for_all(Status.SUCCESS, 210 * (number + 1))
    raise AssertionError("the worker never claims ahead")


@pytest.mark.parametrize("job_type", ["loops", "blocks"])
def test_a_job_that_does_not_end_in_time_is_given_back_and_pays_nothing(
    system: System, job_type: str
) -> None:
    worker = system.start(SHUTDOWN_SECONDS="0.2")
    job_id = system.queue.submit(job_type, {"seconds": 600}, max_retries=1)
    system.wait_for_run(job_id)

    assert worker.stop() == 0

    job = system.job(job_id)
    assert (job.status, job.retry_count, job.deaths) == (Status.PENDING, 0, 0)
    assert system.outcomes(job_id) == ["released"]
    assert system.runs(job_id, "end") == []


def test_the_second_signal_does_not_wait(system: System) -> None:
    worker = system.start(SHUTDOWN_SECONDS="600")
    job_id = system.queue.submit("blocks", {"seconds": 600})
    system.wait_for_run(job_id)
    worker.send(signal.SIGTERM)
    wait_until(lambda: "Stopping: 1 jobs" in worker.log(), "it has heard the first")

    assert worker.stop() == 1

    assert system.job(job_id).status == Status.PROCESSING


def test_threads_that_a_job_left_behind_do_not_keep_the_process(system: System) -> None:
    worker = system.start()
    job_id = system.queue.submit("leaves_a_thread")
    system.wait_for(job_id, Status.SUCCESS)

    assert worker.stop() == 0


def test_a_worker_with_nothing_in_hand_leaves_although_redis_is_away(
    mortal_system: System, own_server: OwnServer
) -> None:
    own_server.kill()
    worker = mortal_system.start(SHUTDOWN_SECONDS="3600")
    wait_until(lambda: "Waiting for Redis" in worker.log(), "it has noticed")

    assert worker.stop() == 0


def test_a_worker_that_can_not_tell_its_outcomes_leaves_with_an_error(
    mortal_system: System, own_server: OwnServer
) -> None:
    worker = mortal_system.start(SHUTDOWN_SECONDS="0.5")
    job_id = mortal_system.queue.submit("loops", {"seconds": 600})
    mortal_system.wait_for_run(job_id)
    own_server.kill()

    assert worker.stop() == 1

    assert "Stopped with 1 jobs in hand" in worker.log()
    assert "Traceback" not in worker.log()


@pytest.mark.parametrize("redis_is_away", [False, True])
def test_the_retry_worker_leaves_on_request(
    mortal_system: System, own_server: OwnServer, redis_is_away: bool
) -> None:
    worker: WorkerProcess = mortal_system.start_idle(RETRY)
    if redis_is_away:
        own_server.kill()
        wait_until(lambda: "Waiting for Redis" in worker.log(), "it has noticed")

    assert worker.stop() == 0

    assert "Traceback" not in worker.log()
