"""Interrupting exactly the job that is meant."""

from __future__ import annotations

import threading
import time

from app.queue.job import Job
from tests.workers.crews import TestCrew, loop_forever, make_job
from tests.workers.processes import PATIENCE_SECONDS
from workers.slot import Cancelled, ShuttingDown, Slot, TimedOut


def test_the_job_that_is_meant_is_interrupted() -> None:
    jobs = [make_job(1), make_job(2)]
    crew = TestCrew(2, lambda job: loop_forever() if job.id == 1 else None)
    crew.crew.hand_over(jobs)
    slot = crew.running(jobs[0])

    slot.stop(jobs[0], TimedOut)

    assert {job.id for job, _ in crew.finished(2)} == {1, 2}
    assert crew.interruptions == [(jobs[0], TimedOut)]


def test_a_job_that_has_ended_is_not_interrupted_and_neither_is_the_next() -> None:
    first, second = make_job(1), make_job(2)
    goes_on = threading.Event()

    def run(job: Job) -> str:
        while job is second and not goes_on.is_set():
            time.sleep(0.001)
        return "finished"

    crew = TestCrew(1, run)
    crew.crew.hand_over([first, second])
    slot = crew.running(second)

    slot.stop(first, TimedOut)
    goes_on.set()

    crew.finished(2)
    assert crew.interruptions == []


def test_interruptions_at_the_very_end_never_hit_the_next_job() -> None:
    """Each short job is told to stop at some moment of its life, or just after."""
    jobs = [make_job(number) for number in range(1, 1001)]
    crew = TestCrew(1, lambda _job: sum(range(200)))
    [slot] = crew.crew.slots
    every_other = {job.id for job in jobs if job.id % 2}
    done = threading.Event()

    def interrupt() -> None:
        while not done.is_set():
            job = slot.job
            if job and job.id in every_other:
                slot.stop(job, Cancelled)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        crew.crew.hand_over(jobs)
        finished = crew.finished(1000)
    finally:
        done.set()
        interrupter.join(PATIENCE_SECONDS)

    assert sorted(job.id for job, _ in finished) == list(range(1, 1001))
    assert {job.id for job, _ in crew.interruptions} <= every_other
    assert all(outcome for _, outcome in finished)


def test_the_first_reason_stands() -> None:
    job = make_job()
    crew = TestCrew(1, loop_forever)
    crew.crew.hand_over([job])
    slot = crew.running(job)

    slot.stop(job, ShuttingDown)
    slot.stop(job, TimedOut)

    crew.finished(1)
    assert crew.interruptions == [(job, ShuttingDown)]


def test_an_interruption_waits_for_the_end_of_a_shielded_block() -> None:
    steps: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def ask_redis(_job: Job) -> None:
        with crew.crew.slots[0].shielded():
            inside.set()
            assert go_on.wait(60)
            steps.append("the block ended")
        steps.append("not reached")

    crew, job = TestCrew(1, ask_redis), make_job()
    crew.crew.hand_over([job])
    slot = crew.running(job)
    assert inside.wait(60)
    slot.stop(job, TimedOut)
    go_on.set()

    crew.finished(1)
    assert steps == ["the block ended"]
    assert crew.interruptions == [(job, TimedOut)]


def test_a_shielded_block_that_nobody_interrupts_changes_nothing() -> None:
    def ask_redis(_job: Job) -> str:
        with crew.crew.slots[0].shielded():
            return "answered"

    crew = TestCrew(1, ask_redis)
    crew.crew.hand_over([make_job()])

    [(_, outcome)] = crew.finished(1)
    assert outcome is not None and outcome.result == '"answered"'


def test_ending_twice_does_no_harm() -> None:
    slot, job = Slot(), make_job()
    slot.begin(job, timeout_seconds=60)

    slot.end()
    slot.end()

    assert slot.job is None
    assert slot.deadline is None
    slot.stop(job, TimedOut)
    assert slot.reason is None


def test_only_a_job_with_a_time_out_gets_a_new_one() -> None:
    slot, job = Slot(), make_job()
    slot.begin(job, timeout_seconds=None)
    slot.allow(60)
    assert slot.deadline is None

    slot.begin(job, timeout_seconds=60)
    before = slot.deadline
    assert before is not None
    slot.allow(3600)
    assert slot.deadline is not None
    assert slot.deadline > before + 3000


def test_a_job_in_a_process_is_killed_instead() -> None:
    slot, job, kills = Slot(), make_job(deaths=1), []
    slot.begin(job, None)
    slot.stop_with(lambda: kills.append("killed"))

    slot.stop(job, Cancelled)
    slot.stop(job, Cancelled)

    assert kills == ["killed"]
    assert slot.reason is Cancelled


def test_a_job_that_is_stopped_before_its_process_is_there_is_killed_as_soon_as_it_is() -> None:
    slot, job, kills = Slot(), make_job(deaths=1), []
    slot.begin(job, None)
    slot.stop(job, Cancelled)
    assert kills == []

    slot.stop_with(lambda: kills.append("killed"))

    assert kills == ["killed"]
