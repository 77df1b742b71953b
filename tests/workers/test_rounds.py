"""What the main thread of a worker does with answers, on a real server with a crew of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config import Config
from app.queue import outcome as outcomes
from app.queue.answers import Turn
from app.queue.job import Job, Status
from app.queue.opening import Store
from app.queue.server_clock import ServerClock
from app.queue.submission import NewJob
from tests.workers.crews import TestCrew, make_job
from tests.workers.processes import wait_until
from workers.rounds import Rounds
from workers.slot import ShuttingDown
from workers.turns import Asked

SLOTS = 2


class Scene:
    """Rounds with `SLOTS` slots, whose jobs wait for `go` but for those the rounds claimed."""

    def __init__(self, store: Store, config: Config) -> None:
        self.go = threading.Event()
        self.ran: list[int] = []
        self.of_test = TestCrew(SLOTS, self._run)
        self.crew = self.of_test.crew
        self.store = store
        self.rounds = Rounds(
            config,
            "w1",
            store.queue,
            self.crew,
            self.of_test.bell,
            ServerClock(store.queue.now),
            stop_by=lambda: None,
        )

    def make_jobs_short(self) -> None:
        """As far as the crew knows."""
        self.crew._mean_seconds = 0.0

    def answer_with(self, *answers: tuple[Asked, Turn]) -> None:
        """Of the turns that are under way now; later ones are the queue's."""
        scripted = deque(answers)
        turns: Any = self.rounds.turns
        turns.under_way = deque(asked for asked, _ in answers)
        of_queue = turns.answer

        def answer() -> tuple[Asked, Turn]:
            if not scripted:
                return of_queue()
            turns.under_way.popleft()
            return scripted.popleft()

        turns.answer = answer

    def close(self) -> None:
        self.go.set()
        self.rounds.wake.stop()
        self.rounds.turns.close()
        self.crew.stop(ShuttingDown)

    def _run(self, job: Job) -> None:
        if job.job_type == "waits":
            self.go.wait()
        self.ran.append(job.id)


@pytest.fixture
def scene(
    open_store: Callable[..., Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    store = open_store()
    scene = Scene(store, Config.load(env_file=None))
    yield scene
    scene.close()


def waiting(job_id: int) -> Job:
    return make_job(job_id, "waits")


def test_slots_that_an_earlier_turn_left_free_hear_of_work(scene: Scene) -> None:
    """The last of two turns got all that it had asked for; the first had asked for the others."""
    scene.make_jobs_short()
    scene.answer_with((Asked([], 100), Turn()), (Asked([], 1), Turn(jobs=[waiting(10_000)])))

    scene.rounds.take_answers()
    [job_id] = [answer.job_id for answer in scene.store.queue.submit_many([NewJob("noop")])]

    wait_until(lambda: scene.ran == [job_id], "who waits for work claimed it")
    [(job, outcome)] = scene.of_test.finished(1)
    assert outcome is not None and job.lease in scene.rounds.held
    scene.rounds.settle([outcome])
    assert scene.store.inspector().counts()[Status.SUCCESS] == 1


def test_a_turn_that_is_with_the_server_may_stay_while_short_jobs_wait_for_slots(
    scene: Scene,
) -> None:
    scene.make_jobs_short()
    scene.crew.hand_over([waiting(10_000 + number) for number in range(SLOTS + 1)])
    scene.rounds.turns.ask([], 1, ahead=True)

    scene.rounds.take_answers(ahead=True)
    assert scene.rounds.turns.under_way

    scene.crew._mean_seconds = 1.0
    scene.rounds.take_answers(ahead=True)
    assert not scene.rounds.turns.under_way


def test_a_turn_that_could_not_be_sent_is_made_whatever_is_in_hand(scene: Scene) -> None:
    scene.store.queue.submit("noop")
    [job] = scene.store.queue.claim("w1")
    scene.make_jobs_short()
    scene.crew.hand_over([waiting(10_000 + number) for number in range(SLOTS + 1)])
    follows = replace(outcomes.completed(job), follow_ups=(NewJob("noop"),))

    scene.rounds.turns.ask([follows], 0, ahead=True)
    scene.rounds.take_answers(ahead=True)

    assert not scene.rounds.turns.under_way
    assert scene.store.inspector().counts()[Status.SUCCESS] == 1
