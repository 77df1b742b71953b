"""Pages of jobs that lie in several shards: the same pages as of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from app.queue.asking import ask
from app.queue.candidates import in_order
from app.queue.connection import unavailable_as_queue_error
from app.queue.job import Job
from app.queue.listing import Listing, is_in_order, sources_of, with_bounds
from app.queue.query import JobQuery, Page, Source
from app.queue.selecting import select
from app.queue.sharded_spots import ShardedSpots


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
            ShardedSpots(self._listings, query, source),
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


def share_out(look: int, sizes: Sequence[int]) -> list[int]:
    """How many candidates each shard looks at: all its own, or `look` in all, by their shares."""
    total = sum(sizes)
    if total <= look:
        return [look] * len(sizes)
    bounds = [look * sum(sizes[:i]) // total for i in range(len(sizes) + 1)]
    return [b - a for a, b in pairwise(bounds)]
