"""Finds one page of a list that lies in several shards, each of which has its part in order.

A job's `Spot` says where it stands among the jobs of all shards. The page begins where `offset`
spots come before it; how many of these are in which shard is searched for: each shard shows the
spots around a guess. Where these don't settle it, they tell how close together the spots of each
shard are, so about where the page begins, and each shard shows what it has around that same place.
Usually one of the two is enough. Where it isn't, each tells how many of its jobs come before
others' guesses, which narrows the search and says where to guess next; each third is halfway, so
that the search ends after some dozens at the worst.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from app.queue.places import Places
from app.queue.spots import Range, Slice, Spot

MARGIN = 200  # spots that are shown on either side of a guess: what another guess would cost
REACH = 400  # the same around a place, which is worth more: a batch of jobs has one time
WIDTH_MAX = 700  # spots that are shown of each shard where it is certain that the page begins there
FEW = 20
PLACES_MAX = 3  # that are looked at after each guess
GUESSES_MAX = 100  # only a list that changes all the time takes so many


class Shards(Protocol):
    """The parts of the list. Every answer is a list with one entry for each shard."""

    def slices(self, ranges: Sequence[Range]) -> list[Slice]:
        """The spots from the first rank of a range up to the second, but at least the last one."""

    def around(self, spot: Spot, first: int, last: int) -> list[Slice]:
        """The same, the range counted from where this spot stands, or would."""

    def ranks(self, spots: Sequence[Spot]) -> list[list[int]]:
        """How many of its jobs come before each of these spots, its own not in a tie."""


@dataclass(frozen=True, slots=True)
class _Point:
    """A place in the list: `below` spots come before it, `of[i]` of them in shard i."""

    below: int
    of: Sequence[int]

    @classmethod
    def at(cls, of: Sequence[int]) -> _Point:
        return cls(sum(of), of)


def select(
    shards: Shards, count: int, offset: int, limit: int, *, descending: bool
) -> tuple[list[Spot], int]:
    """The spots at the ranks from `offset` on, at most `limit`, and how many there are in all.

    Each spot once, whatever happens meanwhile. `count` shards; raises what they raise.
    """
    guess = [offset // count] * count
    ranges = _around(guess, offset, limit)
    low, high = _Point(0, [0] * count), None
    page: list[Spot] = []
    total = 0
    for step in range(1, GUESSES_MAX + 1):
        slices = shards.slices(ranges)
        total = sum(part.total for part in slices)
        page, is_settled = _page(slices, offset, limit, descending)
        if is_settled:
            break
        if total - offset <= MARGIN + limit:
            # Some more, for those that come while the list is asked again.
            ranges = [
                (max(0, part.total - (total - offset)), part.total + MARGIN) for part in slices
            ]
            continue
        fair = [offset * part.total // total for part in slices]
        far = max(MARGIN, offset // count // 4)
        if step == 1 and max(abs(a - b) for a, b in zip(fair, guess, strict=True)) > far:
            guess, ranges = fair, _around(fair, offset, limit)
            continue
        points = []
        places = Places(slices, guess, offset, descending=descending)
        for _ in range(PLACES_MAX):
            place = places.next()
            if place is None:
                break
            around = shards.around(place, -REACH, REACH + limit)
            page, is_settled = _page(around, offset, limit, descending)
            if is_settled:
                return page, sum(part.total for part in around)
            places.learn(place, around)
            points.append(_Point.at([part.rank for part in around]))
        top = high or _Point.at([part.total for part in slices])
        weights = [b - a for a, b in zip(low.of, top.of, strict=True)]
        points += _points(shards, slices, guess, weights, descending)
        for point in points:
            if point.below <= offset:
                low = max(low, point, key=lambda one: one.below)
            elif high is None or point.below < high.below:
                high = point
        top = high or _Point.at([part.total for part in slices])
        share = 1 / 2 if step % 3 == 0 else (offset - low.below) / max(1, top.below - low.below)
        guess = [
            min(offset, a + round((b - a) * share)) for a, b in zip(low.of, top.of, strict=True)
        ]
        ranges = _between(low, top, limit) or _around(guess, offset, limit)
    return page, total


def _around(guess: Sequence[int], offset: int, limit: int) -> list[Range]:
    # No page reaches further than it would if all that comes before it lay in one shard.
    return [(max(0, rank - MARGIN), min(rank + MARGIN, offset) + limit) for rank in guess]


def _between(low: _Point, high: _Point, limit: int) -> list[Range] | None:
    """All that lies between two places before which and after which the page begins, unless that
    is too much; and a few more, for those that come and go meanwhile."""
    if not all(0 <= b - a <= WIDTH_MAX for a, b in zip(low.of, high.of, strict=True)):
        return None
    return [(max(0, a - FEW), b + limit + FEW) for a, b in zip(low.of, high.of, strict=True)]


def _page(
    slices: Sequence[Slice], offset: int, limit: int, descending: bool
) -> tuple[list[Spot], bool]:
    """The page as far as the slices show it, and whether that is certain: between the last of their
    beginnings and the first of their ends every spot is known."""
    spots = [spot for part in slices for spot in part.spots]
    spots.sort(reverse=descending)
    begin = offset - sum(part.first for part in slices)
    end = begin + max(0, min(limit, sum(part.total for part in slices) - offset))
    page = spots[max(0, begin) : max(0, end)]
    if begin == end:
        return [], True
    heads = [part.spots[0] for part in slices if part.first and part.spots]
    tails = [part.spots[-1] for part in slices if part.first + len(part.spots) < part.total]
    known_from = max(map(spots.index, heads), default=0)
    known_to = min(map(spots.index, tails), default=len(spots) - 1)
    return page, known_from <= begin and end - 1 <= known_to


def _points(
    shards: Shards,
    slices: Sequence[Slice],
    guess: Sequence[int],
    weights: Sequence[int],
    descending: bool,
) -> list[_Point]:
    """Where in the list two of the guesses stand: the one in the middle, by what is still unknown
    of their shards, and the next. With guesses halfway, that settles a quarter of it at least."""
    ranks = {i: part.nearest(guess[i]) for i, part in enumerate(slices) if part.spots}
    spots = {i: slices[i].spots[rank - slices[i].first] for i, rank in ranks.items()}
    owners = sorted(spots, key=spots.__getitem__, reverse=descending)
    sums = list(accumulate(max(0, weights[i]) for i in owners))
    middle = bisect_left(sums, sums[-1] / 2)
    owners = owners[middle : middle + 2]
    counts = shards.ranks([spots[i] for i in owners])
    points = []
    for n, owner in enumerate(owners):
        of = [part[n] for part in counts]
        if spots[owner][2]:
            of[owner] = ranks[owner]  # only its place tells how many of a tie come before it
        points.append(_Point.at(of))
    return points
