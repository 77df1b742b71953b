"""What the counters of `Stats` and `Stats:<minute>` say."""

from __future__ import annotations

from app.queue.series import Histogram, Minute

# What the counters count.
EVENTS = (
    "submitted",
    "succeeded",
    "failed",
    "permanently_failed",
    "retried",
    "cancelled",
    "deleted",
    "trimmed",
    "trimmed_permanently_failed",
    "released",
    "died",
    "late",
    "lost",
    "unconfirmed",
)
DURATIONS = ("wait", "run")  # counted beside the events, by length instead of job type
SERIES_MINUTES_MAX = 24 * 60


def last_minutes(count: int, now_ms: int) -> range:
    """So many minutes since the epoch, up to the current one; `SERIES_MINUTES_MAX` at most."""
    last = now_ms // 60_000
    return range(last - max(1, min(count, SERIES_MINUTES_MAX)) + 1, last + 1)


def sum_by_event(counters: dict[str, str]) -> dict[str, int]:
    """Sums `event:job_type` → count over the job types; every event is there."""
    sums = dict.fromkeys(EVENTS, 0)
    for name, count in counters.items():
        event = name.partition(":")[0]
        if event not in DURATIONS:
            sums[event] = sums.get(event, 0) + int(count)
    return sums


def minute_from_counters(number: int, counters: dict[str, str]) -> Minute:
    if not counters:
        return Minute(number * 60.0, dict.fromkeys(EVENTS, 0))
    return Minute(
        at=number * 60.0,
        counts=sum_by_event(counters),
        wait=Histogram.from_counters("wait", counters),
        run=Histogram.from_counters("run", counters),
    )


def by_type(counters: dict[str, str]) -> dict[str, dict[str, int]]:
    types: dict[str, dict[str, int]] = {}
    for name, count in sorted(counters.items()):
        event, _, job_type = name.partition(":")
        if event not in DURATIONS:
            types.setdefault(job_type, {})[event] = int(count)
    return types
