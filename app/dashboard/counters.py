"""The queue's counters in words: what happened how often, and what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.queue.inspector import Minute


class Counter(NamedTuple):
    """`recent` is the count in some last minutes, `ever` since the beginning."""

    event: str
    name: str
    meaning: str
    recent: int
    ever: int


def counters(minutes: Sequence[Minute], totals: Mapping[str, int]) -> list[Counter]:
    """From `Inspector.series()` and the `totals` of `Inspector.stats()`."""
    return [
        Counter(
            event,
            name,
            meaning,
            sum(minute.counts.get(event, 0) for minute in minutes),
            totals.get(event, 0),
        )
        for event, name, meaning in _COUNTED
    ]


_COUNTED = (
    ("submitted", "Submitted", "jobs accepted"),
    ("succeeded", "Succeeded", "jobs done"),
    ("failed", "Failed", "attempts, the last ones of jobs too"),
    ("permanently_failed", "Permanently failed", "jobs given up"),
    ("cancelled", "Cancelled", "jobs taken back before they were done"),
    ("retried", "Retried", "failed jobs that became pending again, by themselves or by hand"),
    ("released", "Given back", "a breaker, a rate limit or a stop: no attempt was charged"),
    ("died", "Worker died", "attempts whose lease ran out; the job was handed out again"),
    ("late", "Told late", "successes told after the lease, before anybody else began: kept"),
    ("lost", "Told too late", "successes told when another attempt had the job: done twice"),
    (
        "unconfirmed",
        "Unconfirmed",
        "past the point of no return, their end unknown: perhaps done twice",
    ),
    ("deleted", "Deleted", "jobs that somebody deleted"),
    ("trimmed", "Trimmed", "finished jobs removed after their retention"),
    ("trimmed_permanently_failed", "Trimmed unmended", "those of them that had permanently failed"),
)
