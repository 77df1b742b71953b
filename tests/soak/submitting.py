"""A client of the API that doesn't give up, and remembers what it was promised."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.soak.system import System

PAUSE_SECONDS = 0.05  # after an answer other than 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's: `status` is 0 when there was none. Times are monotonic, in seconds."""

    at: float
    seconds: float
    status: int
    retry_after: str | None = None  # the header, in seconds


@dataclass
class Submitter:
    """Submits `jobs` in batches of `batch`, from a thread of its own.

    Each batch is sent again with the same Idempotency-Key until it is answered with 200 and all of
    its jobs are accepted. `per_second` bounds how fast jobs go; None: as fast as the API takes.
    """

    system: System
    jobs: list[dict[str, Any]]
    batch: int = 100
    per_second: float | None = None
    submitted: int = 0  # jobs sent at least once
    answered: list[int] = field(default_factory=list)  # ids
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._key = f"soak-{random.SystemRandom().randrange(2**64):x}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="submitter", daemon=True)

    def __enter__(self) -> Submitter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Submits nothing more; the request that is under way is answered first."""
        self._stopping.set()
        self.join()

    def join(self, seconds: float = 60) -> None:
        """Waits until all jobs are submitted."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"{len(self.answered)} of {len(self.jobs)} are accepted"

    def _run(self) -> None:
        began = time.monotonic()
        for first in range(0, len(self.jobs), self.batch):
            if self.per_second:
                self._stopping.wait(began + first / self.per_second - time.monotonic())
            if self._stopping.is_set():
                return
            self._submit(first, self.jobs[first : first + self.batch])

    def _submit(self, first: int, batch: list[dict[str, Any]]) -> None:
        self.submitted += len(batch)
        while True:
            began = time.monotonic()
            status, answer = self.system.request(
                "POST",
                "/api/jobs/batch",
                {"jobs": batch},
                {"Idempotency-Key": f"{self._key}:{first}"},
            )
            self.answers.append(Answer(began, time.monotonic() - began, status))
            if status == 200 and answer["accepted"] == len(batch):
                self.answered += [result["query_id"] for result in answer["results"]]
                return
            if self._stopping.wait(PAUSE_SECONDS):
                return
