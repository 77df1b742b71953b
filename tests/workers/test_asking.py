"""What a running job asks the queue: may it pass the point of no return, is it its turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pytest

from app.queue import outcome as outcomes
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from tests.workers.crews import make_job
from workers.asking import TRIES_IN_PLACE, Asking, Ended

Answer = Literal["ok", "cancel", "lost"]


class Answering(JobQueue):
    """Answers as it is told, and notes what the job looked like when it was asked."""

    def __init__(self, answer: Answer | Exception = "ok", waits_ms: tuple[int, ...] = ()) -> None:
        self.answer = answer
        self.waits_ms = list(waits_ms)
        self.seen_sending: list[bool] = []

    def mark_sending(self, job: Job) -> Answer:
        self.seen_sending.append(job.sending)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def mark_begun(self, job: Job) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def take(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        return self.waits_ms.pop(0)


def asking(queue: JobQueue, announced: list[str] | None = None) -> Asking:
    said = [] if announced is None else announced
    return Asking(queue, [], lambda: said.append("sending"), away_ms=7000)


@pytest.mark.parametrize(
    ("answer", "may_send", "cancel_requested"),
    [("ok", True, False), ("cancel", False, True), ("lost", False, False)],
)
def test_only_ok_lets_a_job_pass(answer: Answer, may_send: bool, cancel_requested: bool) -> None:
    queue, job, announced = Answering(answer), make_job(), list[str]()

    assert asking(queue, announced).mark_sending(job) is may_send

    assert (job.sending, job.cancel_requested) == (may_send, cancel_requested)
    # From before the mark is made, so that a shutdown in between leaves the job to its lease.
    assert queue.seen_sending == [True]
    assert announced == ["sending"]


def test_a_mark_that_failed_lets_nothing_pass() -> None:
    job = make_job()

    with pytest.raises(QueueUnavailable):
        asking(Answering(QueueUnavailable("away"))).mark_sending(job)

    assert not job.sending


@pytest.mark.parametrize(
    ("waits_ms", "answer"),
    [
        ((0,), 0),
        ((10, 0), 0),
        ((10, 5, 0), 0),
        ((1000,), 1000),
        ((10, 500), 500),
        ((5,) * TRIES_IN_PLACE, 5),
    ],
)
def test_a_short_wait_is_waited_in_place(waits_ms: tuple[int, ...], answer: int) -> None:
    queue = Answering(waits_ms=waits_ms)

    assert asking(queue).take(7, {"a": 50.0}) == answer
    assert queue.waits_ms == []


def test_a_job_begins_when_it_is_still_this_workers() -> None:
    assert asking(Answering("ok")).begin(make_job()) is None
    # Nothing is told of a job that others hold.
    assert asking(Answering("lost")).begin(make_job()) == Ended(None)


def test_a_job_that_was_cancelled_does_not_begin() -> None:
    job = make_job()

    ended = asking(Answering("cancel")).begin(job)

    assert ended == Ended(outcomes.cancelled(job, "Cancelled before it began."))
    assert job.cancel_requested


def test_a_job_that_nobody_can_ask_for_is_given_back_for_later() -> None:
    job = make_job()

    ended = asking(Answering(QueueUnavailable("away"))).begin(job)

    assert ended == Ended(outcomes.released(job, delay_ms=7000, reason="away"))
