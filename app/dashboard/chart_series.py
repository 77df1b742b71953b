"""The minutes of the queue's counters, put together into the steps of a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from app.queue.inspector import Histogram, Minute


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in `minutes` minutes from `at` (seconds since the epoch) on.

    `failed` counts attempts after which the job waits for its retry.
    """

    at: float
    minutes: int
    submitted: int
    succeeded: int
    failed: int
    given_up: int
    cancelled: int
    wait: Histogram
    run: Histogram

    @property
    def attempts(self) -> int:
        return self.succeeded + self.failed + self.given_up

    @property
    def finished(self) -> int:
        """Jobs that came to their end."""
        return self.succeeded + self.given_up + self.cancelled

    @property
    def failure_share(self) -> float | None:
        """Of the attempts; None without any."""
        return (self.failed + self.given_up) / self.attempts if self.attempts else None

    @property
    def is_empty(self) -> bool:
        return not (self.attempts or self.cancelled or self.submitted)


def steps(minutes: Sequence[Minute], size: int) -> list[Step]:
    """Steps of `size` minutes each, oldest first; the last one ends with the last minute."""
    first = len(minutes) % size
    starts = [0, *range(first, len(minutes), size)] if first else range(0, len(minutes), size)
    ends = [*starts[1:], len(minutes)]
    return [
        together(minutes[start:end]) for start, end in zip(starts, ends, strict=True) if end > start
    ]


def together(minutes: Sequence[Minute]) -> Step:
    """All in one. There must be at least one minute."""

    def count(event: str) -> int:
        return sum(minute.counts.get(event, 0) for minute in minutes)

    given_up = count("permanently_failed")
    return Step(
        at=minutes[0].at,
        minutes=len(minutes),
        submitted=count("submitted"),
        succeeded=count("succeeded"),
        # A job given up counts as failed too, but for poison: its worker died.
        failed=max(0, count("failed") - given_up),
        given_up=given_up,
        cancelled=count("cancelled"),
        wait=reduce(add, (minute.wait for minute in minutes)),
        run=reduce(add, (minute.run for minute in minutes)),
    )
