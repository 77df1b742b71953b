"""Pausing: nothing is handed out; everything else goes on."""

from __future__ import annotations

from app.queue import outcome
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock


def test_a_paused_queue_hands_nothing_out_until_it_is_resumed(queue: JobQueue) -> None:
    queue.submit("noop")
    queue.pause()

    turn = queue.turn("w1", (), 1)
    assert (turn.jobs, turn.paused) == ([], True)

    queue.resume()
    turn = queue.turn("w1", (), 1)
    assert ([job.id for job in turn.jobs], turn.paused) == ([1], False)


def test_pausing_and_resuming_say_whether_they_changed_anything(queue: JobQueue) -> None:
    assert queue.resume() is False
    assert queue.pause() is True
    assert queue.pause() is False
    assert queue.resume() is True
    assert queue.resume() is False


def test_what_workers_hold_goes_on_while_the_queue_is_paused(queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    first, second, third = queue.claim("w1", 3)
    queue.pause()

    assert queue.renew("w1", [first, second, third], {}).ok == [1, 2, 3]
    outcomes = [outcome.completed(first), outcome.failed(second, "no", retry_in_ms=1)]
    assert queue.turn("w1", outcomes, 2).verdicts == ["ok", "ok"]
    assert queue.release(third) == "ok"


def test_jobs_are_taken_in_promoted_and_reaped_while_the_queue_is_paused(
    queue: JobQueue, clock: Clock
) -> None:
    queue.submit("noop")
    claim_one(queue)
    queue.pause()
    queue.submit("noop", delay_ms=1)

    assert let_leases_run_out(queue, clock).requeued == [1]
    assert queue.promote().moved == 1
    queue.resume()
    assert len(queue.claim("w1", 9)) == 2
