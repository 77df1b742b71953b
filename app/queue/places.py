"""About where in a list over shards a rank lies, by what each of them has shown of its part."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from app.queue.spots import Slice, Spot

Knot = tuple[int, int]  # a number, and how many of a shard's spots have a lesser one

STRIDE = 8  # of what is shown every such spot is looked at


class Places:
    """Tells places that about `offset` spots come before, the better the more was learned.

    `slices` show the spots around guesses that add up to `offset`: so the place is between the
    least and the greatest of the spots at them. In between of what a shard has shown, its spots are
    taken to be spread evenly.
    """

    def __init__(
        self, slices: Sequence[Slice], guess: Sequence[int], offset: int, *, descending: bool
    ) -> None:
        self._offset = offset
        self._sign = -1 if descending else 1
        self._like: Spot | None = None  # what is compared are numbers: of spots like this one
        self._totals = [part.total for part in slices]
        self._knots: list[dict[int, int]] = [{} for _ in slices]
        guessed = [
            part.spots[part.nearest(rank) - part.first]
            for part, rank in zip(slices, guess, strict=True)
            if part.spots
        ]
        # In a large tie only its shard can tell a spot's place, and texts have no middle.
        if not guessed or any(spot[2] for spot in guessed):
            return
        first = max(guessed) if descending else min(guessed)
        self._by_id = all(spot[:2] == first[:2] for spot in guessed)
        if not self._by_id and not isinstance(first[1], int):
            return
        self._like = first
        numbers = [self._number(spot) for spot in guessed if self._is_alike(spot)]
        self._low, self._high = min(numbers), max(numbers)
        self._see(slices)
        if len(numbers) < len(guessed):
            # Some have fewer jobs with a time than was guessed, so others have more before.
            shown = [*numbers, *(number for knots in self._knots for number in knots)]
            self._high += max(shown) - min(shown)

    def next(self) -> Spot | None:
        """A place that was not tried yet; no spot need be there. Nothing when none can be told."""
        if self._like is None or not any(self._knots):
            return None
        lines = self._lines()
        times = len(self._knots) / len(lines)  # those of which nothing is known are as the others
        low, high = self._low, self._high
        while high - low > 1:
            middle = (low + high) // 2
            if times * sum(line.rank(middle) for line in lines) <= self._offset:
                low = middle
            else:
                high = middle
        if all(low in knots for knots in self._knots):
            return None
        # As many spots come before this one as have lesser numbers, whatever the direction.
        at = low if self._sign == 1 else 1 - low
        side, value = self._like[:2]
        return (side, value, 0, at, 0, at, 0) if self._by_id else (side, at, 0, 0, 0, 0, 0)

    def learn(self, place: Spot, slices: Sequence[Slice]) -> None:
        """What the shards have shown around a place."""
        at = place[3] if self._by_id else place[1]
        number = at if self._sign == 1 else 1 - at
        if sum(part.rank for part in slices) <= self._offset:
            self._low = max(self._low, number)
        else:
            self._high = min(self._high, number)
        for knots, part in zip(self._knots, slices, strict=True):
            knots[number] = part.rank
        self._see(slices)

    def _lines(self) -> list[_Line]:
        """Of the shards that have shown something. Where nobody has looked, each goes on at the
        pace of all, by its share of all jobs: what is shown of one is too little to tell its own.
        """
        seen = [
            (sorted(knots.items()), total)
            for knots, total in zip(self._knots, self._totals, strict=True)
            if knots
        ]
        shown = sum(line[-1][1] - line[0][1] for line, _ in seen)
        within = sum(line[-1][0] - line[0][0] for line, _ in seen)
        pace = shown / within * len(seen) / max(1, sum(total for _, total in seen))
        return [_Line(line, total, pace * total) for line, total in seen]

    def _see(self, slices: Sequence[Slice]) -> None:
        for knots, part in zip(self._knots, slices, strict=True):
            last = part.first + len(part.spots) - 1
            for rank in [*range(part.first, last, STRIDE), last] if part.spots else []:
                spot = part.spots[rank - part.first]
                if self._is_alike(spot):
                    number = self._number(spot)
                    knots.setdefault(number, rank)
                    knots[number + 1] = rank + 1

    def _is_alike(self, spot: Spot) -> bool:
        assert self._like is not None
        return spot[:2] == self._like[:2] if self._by_id else spot[0] == self._like[0]

    def _number(self, spot: Spot) -> int:
        """It rises along the page."""
        number: int = spot[3] if self._by_id else spot[1]
        return self._sign * number


class _Line(NamedTuple):
    knots: list[Knot]
    total: int
    pace: float  # spots for each number, beyond the knots

    def rank(self, number: int) -> float:
        """How many of the shard's spots have a lesser number, about."""
        after = bisect_right(self.knots, (number, -1))
        if after == 0:
            start, rank = self.knots[0]
            return max(0.0, rank - (start - number) * self.pace)
        start, rank = self.knots[after - 1]
        if after == len(self.knots):
            return min(rank + (number - start) * self.pace, self.total)
        end, next_rank = self.knots[after]
        return rank + (number - start) / (end - start) * (next_rank - rank)
