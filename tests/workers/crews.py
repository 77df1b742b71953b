"""A crew whose jobs are functions of the test, and jobs without a queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from app.queue import outcome as outcomes
from app.queue.job import Job, Priority, Status
from app.queue.outcome import Outcome
from tests.workers.processes import wait_until
from workers.bell import Bell
from workers.crew import Crew
from workers.slot import Interrupted, Slot


def make_job(job_id: int = 1, job_type: str = "echo", **fields: Any) -> Job:
    values = {
        "payload": "{}",
        "priority": Priority.LOW,
        "created_at": 0.0,
        "status": Status.PROCESSING,
        "token": f"token-{job_id}",
        **fields,
    }
    return Job(job_id, job_type, **values)


class TestCrew:
    """What runs is `run`; what was interrupted is noted in `interruptions`."""

    __test__ = False

    def __init__(self, size: int, run: Callable[[Job], object]) -> None:
        self.interruptions: list[tuple[Job, type[Interrupted]]] = []
        self.bell = Bell()
        self.crew = Crew(
            size,
            self.bell,
            attempt=lambda job, _slot: outcomes.completed(job, run(job)),
            interrupted=self._interrupted,
            began=lambda _slot: None,
        )
        self.crew.start()

    def running(self, job: Job) -> Slot:
        """The slot that runs the job, once one does."""
        found: list[Slot] = wait_until(
            lambda: [slot for slot in self.crew.slots if slot.job is job], f"{job.id} is running"
        )
        return found[0]

    def finished(self, count: int) -> list[tuple[Job, Outcome | None]]:
        found: list[tuple[Job, Outcome | None]] = []

        def enough() -> bool:
            found.extend(self.crew.take_finished(count))
            return len(found) >= count

        wait_until(enough, f"{count} have finished")
        return found

    def _interrupted(self, job: Job, reason: type[Interrupted]) -> Outcome:
        self.interruptions.append((job, reason))
        return outcomes.released(job, reason=reason.__name__)


def loop_forever(_job: Job | None = None) -> None:
    while True:
        time.sleep(0.001)
