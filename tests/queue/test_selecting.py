"""The search for a page over shards, on lists in memory."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from app.queue.selecting import GUESSES_MAX, select
from app.queue.spots import Range, Slice, Spot


class Lists:
    """Shards whose spots are these, in the order of the page."""

    def __init__(self, lists: list[list[Spot]], descending: bool) -> None:
        self.lists = lists
        self.descending = descending
        self.guesses = 0

    def slices(self, ranges: Sequence[Range]) -> list[Slice]:
        self.guesses += 1
        return [self._slice(*both) for both in zip(self.lists, ranges, strict=True)]

    def _slice(self, spots: list[Spot], asked: Range) -> Slice:
        assert asked[1] - asked[0] <= 1000
        first = max(0, min(asked[0], len(spots) - 1))
        return Slice(len(spots), first, spots[first : asked[1]])

    def around(self, spot: Spot, first: int, last: int) -> list[Slice]:
        ranks = [self._rank(own, spot) for own in self.lists]
        ranges = [(rank + first, rank + last) for rank in ranks]
        parts = [self._slice(*both) for both in zip(self.lists, ranges, strict=True)]
        return [replace(part, rank=rank) for part, rank in zip(parts, ranks, strict=True)]

    def ranks(self, spots: Sequence[Spot]) -> list[list[int]]:
        return [[self._rank(own, spot) for spot in spots] for own in self.lists]

    def _rank(self, own: list[Spot], spot: Spot) -> int:
        if not self.descending:
            return bisect_left(own, spot)
        return len(own) - bisect_right(own[::-1], spot)


def spot(value: int, job_id: int, shard: int) -> Spot:
    return (1, value, 0, job_id, 0, job_id, shard)


# Which of `count` shards the n-th of `jobs` lies in.
SPREADS: dict[str, Callable[[random.Random, int, int, int], int]] = {
    "at random": lambda rng, n, jobs, count: rng.randrange(count),
    "in batches": lambda rng, n, jobs, count: n // 250 % count,
    "one after the other": lambda rng, n, jobs, count: n * count // jobs,
    "almost all in one": lambda rng, n, jobs, count: count // 2 if n % 50 else n % count,
    "growing shares": lambda rng, n, jobs, count: min(count - 1, rng.randrange(1, 2**count) % 7),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("count", [2, 4, 9])
def test_a_page_is_found_in_few_guesses(spread: str, count: int) -> None:
    rng = random.Random(f"{spread} {count}")
    jobs = 30_000
    for descending in (False, True):
        lists: list[list[Spot]] = [[] for _ in range(count)]
        for n in range(jobs):
            shard = SPREADS[spread](rng, n, jobs, count)
            # Times crowd: the later, the farther apart.
            lists[shard].append(spot(n**3 // 1000, n * count + shard, shard))
        for part in lists:
            part.sort(reverse=descending)
        every = sorted([one for part in lists for one in part], reverse=descending)
        for offset in (0, 350, jobs - 30, jobs, *[rng.randrange(jobs) for _ in range(15)]):
            for limit in (1, 50, 200):
                shards = Lists(lists, descending)
                page, total = select(shards, count, offset, limit, descending=descending)
                assert (page, total) == (every[offset : offset + limit], jobs)
                assert shards.guesses <= 7


def test_a_list_in_which_every_guess_is_wrong_is_still_narrowed() -> None:
    """One shard's jobs all stand in one gap of another's."""
    lists = [[spot(n, n * 2, 0) for n in range(50_000)]]
    lists.append([spot(31_234, 10**6 + n * 2 + 1, 1) for n in range(50_000)])
    every = sorted(lists[0] + lists[1])
    for offset in range(0, 100_000, 1_357):
        shards = Lists(lists, False)
        page, _ = select(shards, 2, offset, 50, descending=False)
        assert page == every[offset : offset + 50]
        assert shards.guesses <= 40


def test_a_list_that_changes_all_the_time_ends_and_has_each_once() -> None:
    rng = random.Random(3)

    class Changing(Lists):
        def slices(self, ranges: Sequence[Range]) -> list[Slice]:
            self.lists = [
                sorted(
                    spot(rng.randrange(10**6), n * 3 + i, i)
                    for n in range(rng.choice((0, 1, rng.randrange(3000))))
                )
                for i in range(3)
            ]
            return super().slices(ranges)

    for offset in (0, 1, 2, *range(0, 4_000, 190), 8_000):
        shards = Changing([], False)
        page, _ = select(shards, 3, offset, 50, descending=False)
        assert len({one[-2] for one in page}) == len(page) <= 50
        assert shards.guesses <= GUESSES_MAX


@pytest.mark.parametrize("descending", [False, True])
def test_a_list_that_grows_fast_takes_no_more_guesses(descending: bool) -> None:
    class Growing(Lists):
        def slices(self, ranges: Sequence[Range]) -> list[Slice]:
            for shard, own in enumerate(self.lists):
                last = len(own) * 2 + shard
                new = [spot(last + n * 2, last + n * 2, shard) for n in range(80)]
                own[:] = [*new[::-1], *own] if self.descending else [*own, *new]
            return super().slices(ranges)

    for offset in (0, 30, 4_000, 19_980, 20_100):
        lists = [[spot(n * 2 + i, n * 2 + i, i) for n in range(10_000)] for i in range(2)]
        shards = Growing([own[::-1] if descending else own for own in lists], descending)
        page, _ = select(shards, 2, offset, 50, descending=descending)
        assert len(page) == 50
        assert shards.guesses <= 3


def test_a_list_out_of_order_ends_and_has_each_once() -> None:
    """As when a server's clock went back: a shard has its jobs by id, the times don't follow."""
    rng = random.Random(4)
    lists = [[spot(rng.randrange(5_000), n * 2 + i, i) for n in range(5_000)] for i in range(2)]
    for offset in range(0, 10_000, 731):
        shards = Lists(lists, False)
        page, total = select(shards, 2, offset, 50, descending=False)
        assert len({one[-2] for one in page}) == len(page) <= 50
        assert total == 10_000
        assert shards.guesses <= GUESSES_MAX
