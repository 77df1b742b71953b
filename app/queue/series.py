"""What happened in each minute, and how long jobs waited and ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The upper bounds of the counters, in milliseconds, the same as in `lua/_records.lua`: 1, 2 and 5
# of each power of ten, up to 28 hours.
BOUNDS_MS: tuple[int, ...] = tuple(digit * 10**power for power in range(9) for digit in (1, 2, 5))[
    :25
]
OVER = "inf"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations lie up to each of `BOUNDS_MS`, and above the last."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_MS) + 1)
    sum_seconds: float = 0.0

    @classmethod
    def from_counters(cls, name: str, counters: Mapping[str, str]) -> Histogram:
        """From the fields `<name>:<bound>` and `<name>:sum` of `Stats` or `Stats:<minute>`."""
        bounds = (*map(str, BOUNDS_MS), OVER)
        counts = tuple(int(counters.get(f"{name}:{bound}", 0)) for bound in bounds)
        return cls(counts, int(counters.get(f"{name}:sum", 0)) / 1000)

    @property
    def count(self) -> int:
        return sum(self.counts)

    def __add__(self, other: Histogram) -> Histogram:
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return Histogram(counts, self.sum_seconds + other.sum_seconds)

    def quantile(self, q: float) -> float | None:
        """The duration that a share `q` (0 to 1) of all stays within, in seconds; None of none.

        Interpolated between two bounds, so it is right within a factor of 2.5; what is above the
        last bound counts as the last bound.
        """
        rank, below = q * self.count, 0
        if not self.count:
            return None
        lows = (0, *BOUNDS_MS)
        highs = (*BOUNDS_MS, BOUNDS_MS[-1])
        for low_ms, high_ms, count in zip(lows, highs, self.counts, strict=True):
            if count and below + count >= rank:
                return (low_ms + (high_ms - low_ms) * max(0.0, rank - below) / count) / 1000
            below += count
        return BOUNDS_MS[-1] / 1000


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute. `counts` has every event of `EVENTS`; `wait` is from ready to picked, `run` from
    picked to settled."""

    at: float  # its beginning, seconds since the epoch
    counts: dict[str, int] = field(default_factory=dict)
    wait: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)
