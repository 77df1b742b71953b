"""Which jobs' times of creation a page over shards needs, where each shard tells those of a few.

No index has these times, and reading records is dear; but within a shard they rise with the ids
(`lua/submit.lua` sees to it), so a job's time lies between those of the nearest jobs of which it is
known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from app.queue.spots import Slice


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the jobs that a shard shows, as the page has them, the least and the greatest that their
    times may be, counted along the page: downwards these are negative. Milliseconds."""

    least: list[int]
    greatest: list[int]
    has_before: bool  # jobs that are not shown
    has_after: bool

    @classmethod
    def of(cls, part: Slice, known: Mapping[int, int], *, descending: bool) -> Bounds:
        sign = -1 if descending else 1
        times = [known.get(spot[-2]) for spot in part.spots]
        first = next((time for time in times if time is not None), 0)
        last = next((time for time in reversed(times) if time is not None), 0)
        return cls(
            [sign * time for time in _carried(times, first)],
            [sign * time for time in _carried(times[::-1], last)][::-1],
            part.first > 0,
            part.first + len(times) < part.total,
        )


def unsure(parts: Sequence[Bounds], begin: int, end: int) -> list[list[int]]:
    """The places in each part of the jobs that may stand from `begin` up to `end` among all of
    them, and whose time is not known. None where certainly not all of the page is shown."""
    least = sorted(chain.from_iterable(part.least for part in parts))
    greatest = sorted(chain.from_iterable(part.greatest for part in parts))
    if not 0 <= begin < end <= len(least):
        return [[] for _ in parts]
    # The n-th of all times is at least the n-th of what they are at least.
    from_time, to_time = least[begin], greatest[end - 1]
    if any(
        (part.has_before and part.least[0] > greatest[begin])
        or (part.has_after and part.greatest[-1] < least[end - 1])
        for part in parts
        if part.least
    ):
        return [[] for _ in parts]
    return [
        [
            place
            for place, (low, high) in enumerate(zip(part.least, part.greatest, strict=True))
            if low < high and high >= from_time and low <= to_time
        ]
        for part in parts
    ]


def _carried(times: Sequence[int | None], first: int) -> list[int]:
    """Each that is not known as the one before it."""
    carried = []
    for time in times:
        first = first if time is None else time
        carried.append(first)
    return carried
