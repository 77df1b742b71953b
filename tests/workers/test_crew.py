"""The threads that run jobs stay, whatever happens."""

from __future__ import annotations

import threading
import time

import pytest

from app.queue.job import Job
from tests.workers.crews import TestCrew, loop_forever, make_job
from tests.workers.processes import PATIENCE_SECONDS
from workers.crew import AHEAD_SECONDS, SHORT_JOB_BUFFER, Crew
from workers.slot import ShuttingDown


def test_a_thread_survives_a_failure_that_is_not_the_jobs() -> None:
    def run(job: Job) -> str:
        if job.id == 1:
            raise OSError("no more processes")
        return "finished"

    crew = TestCrew(1, run)
    first, second = make_job(1), make_job(2)
    crew.crew.hand_over([first, second])

    finished = dict(enumerate(crew.finished(2)))

    assert finished[0] == (first, None)
    assert finished[1][0] is second
    assert finished[1][1] is not None
    assert crew.crew.unfinished == 0


def test_there_is_room_for_as_many_jobs_as_threads() -> None:
    crew = TestCrew(2, loop_forever)
    assert crew.crew.room() == 2

    crew.crew.hand_over([make_job(1)])
    assert crew.crew.room() == 1

    crew.crew.stop(ShuttingDown)


def test_only_while_jobs_are_short_there_is_room_for_more() -> None:
    crew = TestCrew(2, lambda job: time.sleep(0.2) if job.id == 0 else None)
    # The estimate falls slowly, and a stutter of the machine lifts it.
    for _ in range(20):
        crew.crew.hand_over([make_job(number) for number in range(1, 201)])
        crew.finished(200)
        if crew.crew.room() == 2 + SHORT_JOB_BUFFER:  # less than that is for jobs not so short
            break
    assert crew.crew.room() == 2 + SHORT_JOB_BUFFER

    crew.crew.hand_over([make_job(0)])
    crew.finished(1)

    assert crew.crew.room() == 2


def test_there_is_room_for_the_jobs_that_begin_while_more_are_claimed() -> None:
    crew = TestCrew(2, lambda _job: time.sleep(0.005))
    assert crew.crew.room() == 2

    for _ in range(400):  # the estimate of how long a job takes falls slowly from its beginning
        crew.crew.hand_over([make_job(1), make_job(2)])
        crew.finished(2)
        time.sleep(0.001)  # the round trip
        if crew.crew.room() > 2:
            break

    assert 2 < crew.crew.room() <= 2 + 2 * AHEAD_SECONDS / 0.005


def claim_in_waiting(crew: Crew, job: Job) -> None:
    """As a thread does that waits for work."""
    crew.expect([job])
    crew.wait_on(lambda: [job])


def test_a_free_slot_can_be_left_to_who_waits_for_work() -> None:
    crew = TestCrew(3, loop_forever)
    assert crew.crew.reserve()
    assert crew.crew.room() == 2

    claim_in_waiting(crew.crew, make_job(1))
    assert (crew.crew.reserved, crew.crew.room()) == (1, 1), "the next one's, too"

    crew.crew.hand_over([make_job(2)])
    assert (crew.crew.reserved, crew.crew.room()) == (1, 0)
    claim_in_waiting(crew.crew, make_job(3))
    assert (crew.crew.reserved, crew.crew.room()) == (0, 0)
    assert not crew.crew.reserve()
    crew.crew.stop(ShuttingDown)


def test_waiting_ends_when_a_job_finishes_that_was_claimed_meanwhile() -> None:
    crew = TestCrew(1, lambda _job: None)
    crew.crew.reserve()
    threading.Timer(0.05, claim_in_waiting, [crew.crew, make_job(1)]).start()

    crew.crew.wait(PATIENCE_SECONDS)

    assert crew.crew.take_finished(10)
    assert crew.crew.room() == 1


def test_who_waits_for_work_runs_it_and_goes_on_with_other_jobs() -> None:
    threads: list[threading.Thread] = []
    alone = threading.Event()

    def run(_job: Job) -> None:
        threads.append(threading.current_thread())
        assert alone.wait(PATIENCE_SECONDS)

    crew = TestCrew(1, run)

    def wait_for_work() -> list[Job]:
        threads.append(threading.current_thread())
        crew.crew.expect([make_job(1)])
        crew.crew.wait_on(alone.set)  # ends the thread that is free
        return [make_job(1)]

    crew.crew.start_waiting(wait_for_work)
    crew.finished(1)
    crew.crew.hand_over([make_job(2)])
    crew.finished(1)

    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_not_more_jobs_run_at_once_than_there_are_slots() -> None:
    running: list[int] = []
    most: list[int] = []

    def run(job: Job) -> None:
        running.append(job.id)
        most.append(len(running))
        time.sleep(0.002)
        running.remove(job.id)

    crew = TestCrew(2, run)
    crew.crew.expect([make_job(1)])
    crew.crew.start_waiting(lambda: [make_job(1)])  # and a third thread goes on with jobs
    crew.crew.hand_over([make_job(number) for number in range(2, 60)])

    crew.finished(59)

    assert max(most) == 2


def test_a_job_that_waits_for_a_slot_does_not_begin_after_the_stop() -> None:
    crew = TestCrew(1, loop_forever)
    first, second = make_job(1), make_job(2)
    crew.crew.hand_over([first])
    crew.running(first)
    crew.crew.expect([second])
    crew.crew.start_waiting(lambda: [second])

    crew.crew.stop(ShuttingDown)

    crew.finished(2)
    assert crew.interruptions == [(first, ShuttingDown), (second, ShuttingDown)]


def test_what_no_thread_has_begun_can_be_taken_back() -> None:
    jobs = [make_job(number) for number in range(1, 5)]
    crew = TestCrew(1, loop_forever)
    crew.crew.hand_over(jobs)
    slot = crew.running(jobs[0])
    crew.crew.wait_on(lambda: None)  # no job

    assert crew.crew.take_unbegun() == jobs[1:]

    assert crew.crew.unfinished == 1
    slot.stop(jobs[0], ShuttingDown)
    crew.finished(1)


def test_waiting_ends_when_a_job_finishes() -> None:
    goes_on = threading.Event()
    crew = TestCrew(2, lambda _job: goes_on.wait(PATIENCE_SECONDS))
    crew.crew.hand_over([make_job(1), make_job(2)])
    threading.Timer(0.05, goes_on.set).start()

    crew.crew.wait(PATIENCE_SECONDS)

    assert crew.crew.take_finished(10)


@pytest.mark.parametrize("others", [1, 5])
def test_waiting_goes_on_while_a_long_job_that_followed_short_ones_runs(others: int) -> None:
    crew = TestCrew(2, lambda job: loop_forever() if job.id <= others else None)
    for _ in range(20):
        crew.crew.hand_over([make_job(number) for number in range(101, 301)])
        crew.finished(200)
        if crew.crew.room() > 2:
            break
    assert crew.crew.room() > 2
    crew.crew.hand_over([make_job(number) for number in range(1, others + 1)])

    began = time.monotonic()
    crew.crew.wait(0.2)

    assert time.monotonic() - began >= 0.19, "it came back although nothing had happened"
    crew.crew.take_unbegun()
    crew.crew.stop(ShuttingDown)
