"""Pages of jobs that lie in several shards: the same pages as of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from app.queue.asking import ask
from app.queue.candidates import in_order
from app.queue.connection import unavailable_as_queue_error
from app.queue.job import Job
from app.queue.listing import Listing, is_in_order, sources_of, with_bounds
from app.queue.query import JobQuery, Page, Source
from app.queue.selecting import Range, Slice, Spot, select

_TIMES = ("created_at", "picked_at", "completed_at")
_TEXTS = ("status", "job_type", "priority")
_BEYOND = 2**53  # above every id
_RETRIES_UNIT = 2**43  # as in `lua/_prelude.lua`


class ShardedListing:
    """Answers a `JobQuery` from all shards, as `Listing` does from one.

    The order by creation is that of the times: over shards, ids don't tell. Each job stands on a
    page at most once. While jobs move, the shards are seen at slightly different moments, and a job
    as it is when it is read: milliseconds after it was found.
    """

    def __init__(self, listings: Sequence[Listing], shard_of: Callable[[int], int]) -> None:
        self._listings = listings
        self._shard_of = shard_of

    def page(self, query: JobQuery, *, with_payload: bool) -> Page:
        """Raises QueueUnavailable, ServerUnsuitable: a page without a shard's jobs would lie."""
        if query.job_id is not None:
            return self._listings[self._shard_of(query.job_id)].page(
                query, with_payload=with_payload
            )
        if query.find_prefix and not self._listings[0].search:
            return Page([], 0, query, complete=False, looked_at=0)
        sources = sources_of(query)
        if sources and not is_in_order(query, sources):
            return self._page_from_candidates(query, sources, with_payload)
        source = sources[0] if sources else None
        spots, total = select(
            _Shards(self._listings, query, source),
            len(self._listings),
            query.offset,
            query.limit,
            descending=query.descending,
        )
        places = [(spot[-2], spot[-1]) for spot in spots]
        return Page(self._jobs(places, with_payload), total, query)

    def _page_from_candidates(
        self, query: JobQuery, sources: list[Source], with_payload: bool
    ) -> Page:
        # Every shard looks at those of one source, as one server would that had all jobs.
        readers = [listing.candidates for listing in self._listings]
        with unavailable_as_queue_error():
            sizes = ask([partial(reader.sizes, query, sources) for reader in readers])
            source = min(sizes[0], key=lambda one: sum(part[one] for part in sizes))
            candidates = sum(part[source] for part in sizes)
            looks = share_out(query.look, [part[source] for part in sizes])
            found = ask(
                [
                    partial(reader.find, query, sources, source, look, in_order_of_ids=False)
                    for reader, look in zip(readers, looks, strict=True)
                ]
            )
        shard_of = {job_id: i for i, part in enumerate(found) for job_id in part.ids}
        values = {job_id: value for part in found for job_id, value in part.values.items()}
        ids = in_order(query, list(shard_of), values)
        places = [(i, shard_of[i]) for i in ids[query.offset : query.offset + query.limit]]
        return with_bounds(
            Page(self._jobs(places, with_payload), len(ids), query),
            source,
            candidates,
            sum(part.looked_at for part in found),
            all(part.at_end for part in found),
        )

    def _jobs(self, places: list[tuple[int, int]], with_payload: bool) -> list[Job]:
        """Reads jobs, given as ids and shards; one that was deleted meanwhile is left out."""
        ids: dict[int, list[int]] = {}
        for job_id, shard in places:
            ids.setdefault(shard, []).append(job_id)
        parts = ask(
            [
                partial(self._listings[shard].jobs, own, with_payload=with_payload)
                for shard, own in ids.items()
            ]
        )
        found = {job.id: job for part in parts for job in part}
        return [found[job_id] for job_id, _ in places if job_id in found]


@dataclass(frozen=True, slots=True)
class _Shards:
    """The jobs of a query: those of its filters, or, of `source`, those that it leads to."""

    listings: Sequence[Listing]
    query: JobQuery
    source: Source | None

    def slices(self, ranges: Sequence[Range]) -> list[Slice]:
        return ask([partial(self._slice, i, *wanted) for i, wanted in enumerate(ranges)])

    def ranks(self, spots: Sequence[Spot]) -> list[list[int]]:
        return ask([partial(self._ranks, i, spots) for i in range(len(self.listings))])

    def _slice(self, shard: int, first: int, last: int) -> Slice:
        answer = self._call(shard, "slice", first, last)
        total, first, parts = answer
        spots: list[Spot] = []
        for part in parts:
            of_group = (
                self._scored(shard, part[1])
                if len(part) == 2
                else self._spots(shard, first + len(spots), *part)
            )
            of_group.sort(reverse=self.query.descending)
            spots += of_group
        return Slice(total, first, spots)

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
        lacks_value = self.query.sort in _TIMES and not values
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
        arguments: list[Any] = []
        for side, value, tied, _, _, job_id, owner in spots:
            lacks_value = self.query.sort in _TIMES and side != self.query.descending
            arguments += [
                "" if lacks_value else value,
                _BEYOND if tied else job_id,
                int(owner > shard),
            ]
        counts: list[int] = self._call(shard, "ranks", *arguments)
        return counts

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


def share_out(look: int, sizes: Sequence[int]) -> list[int]:
    """How many candidates each shard looks at: all its own, or `look` in all, by their shares."""
    total = sum(sizes)
    if total <= look:
        return [look] * len(sizes)
    bounds = [look * sum(sizes[:i]) // total for i in range(len(sizes) + 1)]
    return [b - a for a, b in pairwise(bounds)]
