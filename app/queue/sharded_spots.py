"""Where the jobs of a query stand: what `selecting` asks, answered by the scripts of each shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.queue.asking import ask
from app.queue.creation_times import Bounds, unsure
from app.queue.listing import Listing
from app.queue.query import JobQuery, Source
from app.queue.spots import Range, Slice, Spot

Times = dict[int, int]  # id → created_at, ms

_MAY_LACK = ("picked_at", "completed_at")
_TEXTS = ("status", "job_type", "priority")
_BEYOND = 2**53  # above every id
_RETRIES_UNIT = 2**43  # as in `lua/_prelude.lua`


@dataclass(frozen=True, slots=True)
class ShardedSpots:
    """The jobs of a query: those of its filters, or, of `source`, those that it leads to."""

    listings: Sequence[Listing]
    query: JobQuery
    source: Source | None

    def slices(self, ranges: Sequence[Range]) -> list[Slice]:
        return self._shown([partial(self._slice, i, *wanted) for i, wanted in enumerate(ranges)])

    def around(self, spot: Spot, first: int, last: int) -> list[Slice]:
        return self._shown(
            [
                partial(self._slice, i, first, last, *self._place(i, spot))
                for i in range(len(self.listings))
            ]
        )

    def ranks(self, spots: Sequence[Spot]) -> list[list[int]]:
        return ask([partial(self._ranks, i, spots) for i in range(len(self.listings))])

    def _shown(self, calls: Sequence[Callable[[], tuple[Slice, Times]]]) -> list[Slice]:
        answers = ask(calls)
        slices = [part for part, _ in answers]
        if self.query.sort == "created_at":
            return self._dated(slices, [times for _, times in answers])
        return slices

    def _dated(self, slices: Sequence[Slice], known: Sequence[Times]) -> list[Slice]:
        """With times of creation: of the jobs that may be on the page their own, of others those
        of a neighbour, which is enough to tell that they are before it, or after."""
        query = self.query
        ids = [[spot[-2] for spot in part.spots] for part in slices]
        bounds = [
            Bounds.of(part, times, descending=query.descending)
            for part, times in zip(slices, known, strict=True)
        ]
        begin = query.offset - sum(part.first for part in slices)
        end = min(begin + query.limit, sum(map(len, ids)))
        wanted = {
            shard: [ids[shard][place] for place in places]
            for shard, places in enumerate(unsure(bounds, begin, end))
            if places
        }
        read = ask([partial(self.listings[i].created_at, some) for i, some in wanted.items()])
        times = {job_id: ms for part in read for job_id, ms in part.items()}
        side = int(query.descending)
        return [
            replace(
                part,
                spots=[
                    (side, times.get(job_id, abs(near)), 0, job_id, 0, job_id, shard)
                    for job_id, near in zip(ids[shard], bounds[shard].least, strict=True)
                ],
            )
            for shard, part in enumerate(slices)
        ]

    def _slice(self, shard: int, first: int, last: int, *place: Any) -> tuple[Slice, Times]:
        total, first, parts, rank = self._call(shard, "slice", first, last, *place)
        spots: list[Spot] = []
        times: Times = {}
        for part in parts:
            if self.query.sort == "created_at":
                numbers = list(map(int, part[2].split()))
                times = dict(zip(numbers[::2], numbers[1::2], strict=True))
                part = [part[0], part[1], "", part[3]]
            of_group = (
                self._scored(shard, part[1])
                if len(part) == 2
                else self._spots(shard, first + len(spots), *part)
            )
            of_group.sort(reverse=self.query.descending)
            spots += of_group
        return Slice(total, first, spots, rank), times

    def _scored(self, shard: int, ids_and_scores: str) -> list[Spot]:
        numbers = list(map(int, ids_and_scores.split()))
        ids, scores = numbers[::2], numbers[1::2]
        if self.query.sort == "retry_count":
            scores = [score // _RETRIES_UNIT for score in scores]
        side = int(self.query.descending)  # as below: these have a value
        return [
            (side, score, 0, job_id, 0, job_id, shard)
            for job_id, score in zip(ids, scores, strict=True)
        ]

    def _spots(
        self, shard: int, first: int, value: str, ids: str, values: str, ties: str
    ) -> list[Spot]:
        read = str if self.query.sort in _TEXTS else int
        numbers = list(map(int, ids.split()))
        given = list(map(int, values.split())) if values else [read(value or 0)] * len(numbers)
        # Jobs without a time are last in both directions.
        lacks_value = self.query.sort in _MAY_LACK and not values
        side = int(lacks_value != self.query.descending)
        if "1" not in ties:
            return [
                (side, one, 0, number, 0, number, shard)
                for one, number in zip(given, numbers, strict=True)
            ]
        sign = -1 if self.query.descending else 1
        return [
            (side, one, 1, shard, sign * rank, number, shard)
            if tied == "1"
            else (side, one, 0, number, 0, number, shard)
            for rank, (one, number, tied) in enumerate(
                zip(given, numbers, ties, strict=True), first
            )
        ]

    def _ranks(self, shard: int, spots: Sequence[Spot]) -> list[int]:
        arguments = [part for spot in spots for part in self._place(shard, spot)]
        counts: list[int] = self._call(shard, "ranks", *arguments)
        return counts

    def _place(self, shard: int, spot: Spot) -> tuple[Any, int, int]:
        """A spot, as the scripts take it."""
        side, value, tied, _, _, job_id, owner = spot
        lacks_value = self.query.sort in _MAY_LACK and side != self.query.descending
        return "" if lacks_value else value, _BEYOND if tied else job_id, int(owner > shard)

    def _call(self, shard: int, script: str, *arguments: Any) -> Any:
        query, source = self.query, self.source
        return self.listings[shard].scripts.call(
            script,
            query.status or "",
            query.job_type or "",
            query.priority or "",
            source.kind if source else "",
            source.name if source else "",
            query.sort,
            int(query.descending),
            *arguments,
        )
