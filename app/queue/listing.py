"""Pages of jobs: which match, in which order, exact at any offset."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import redis

from app.queue.candidates import Candidates
from app.queue.connection import unavailable_as_queue_error
from app.queue.job import Job
from app.queue.keys import Keys
from app.queue.query import (
    LIMIT_MAX,
    LOOK_MAX,
    LOOK_USUALLY,
    SORTS,
    JobQuery,
    Page,
    Source,
)
from app.queue.scripts import Scripts

__all__ = [
    "LIMIT_MAX",
    "LOOK_MAX",
    "LOOK_USUALLY",
    "SORTS",
    "JobQuery",
    "Listing",
    "Page",
    "Source",
]


# Of a record, as `lua/slice.lua` reads it: for hundreds at a time, parsing takes too long. Within a
# text the quotes would have backslashes.
_CREATED_AT = re.compile(r'"created_at":(\d+)')


class Listing:
    """Answers a `JobQuery`: from the buckets where it can, else from a tag's or a search's jobs.

    `search` says whether submissions write what a search for people or titles reads.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, scripts: Scripts, *, search: bool = True
    ) -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = keys
        self.scripts = scripts
        self.search = search
        self.candidates = Candidates(client, keys, scripts)

    def page(self, query: JobQuery, *, with_payload: bool) -> Page:
        """Raises QueueUnavailable, ServerUnsuitable."""
        if query.find_prefix and not self.search:
            return Page([], 0, query, complete=False, looked_at=0)
        with unavailable_as_queue_error():
            if query.job_id is not None:
                return self._page_of_one(query, with_payload)
            sources = sources_of(query)
            if not sources:
                return self._page_from_buckets(query, with_payload)
            if is_in_order(query, sources):
                return self._page_of_source(query, sources[0], with_payload)
            return self._page_from_candidates(query, sources, with_payload)

    def _page_of_one(self, query: JobQuery, with_payload: bool) -> Page:
        [text] = self._client.hmget(self._keys.jobs, [str(query.job_id)])
        found = text is not None and _matches(query, json.loads(text))
        ids = [int(query.job_id or 0)] if found and query.page == 1 else []
        return Page(self._jobs(ids, with_payload), int(found), query)

    def _page_from_buckets(self, query: JobQuery, with_payload: bool) -> Page:
        rows = self.scripts.call(
            "page",
            query.status or "",
            query.job_type or "",
            query.priority or "",
            query.sort,
            "1" if query.descending else "0",
            query.offset,
            query.limit,
            "1" if with_payload else "0",
        )
        return _page_of_rows(query, *rows)

    def _page_of_source(self, query: JobQuery, source: Source, with_payload: bool) -> Page:
        rows = self.scripts.call(
            "entries",
            source.kind,
            source.name,
            "1" if query.descending else "0",
            query.offset,
            query.limit,
            "1" if with_payload else "0",
        )
        return _page_of_rows(query, *rows)

    def _page_from_candidates(
        self, query: JobQuery, sources: list[Source], with_payload: bool
    ) -> Page:
        sizes = self.candidates.sizes(query, sources)
        source = min(sizes, key=lambda one: sizes[one])
        found = self.candidates.find(query, sources, source, query.look)
        on_page = found.ids[query.offset : query.offset + query.limit]
        page = Page(self._jobs(on_page, with_payload), len(found.ids), query)
        return with_bounds(page, source, sizes[source], found.looked_at, found.at_end)

    def jobs(self, ids: list[int], *, with_payload: bool) -> list[Job]:
        """Reads jobs; one that was deleted meanwhile is left out.

        Raises QueueUnavailable, ServerUnsuitable.
        """
        with unavailable_as_queue_error():
            return self._jobs(ids, with_payload)

    def created_at(self, ids: Sequence[int]) -> dict[int, int]:
        """When jobs were created, ms; of those that are still there.

        Raises QueueUnavailable, ServerUnsuitable.
        """
        with unavailable_as_queue_error():
            texts = self._client.hmget(self._keys.jobs, ids)
        found = {
            job_id: _CREATED_AT.search(text or "") for job_id, text in zip(ids, texts, strict=True)
        }
        return {job_id: int(match[1]) for job_id, match in found.items() if match}

    def _jobs(self, ids: list[int], with_payload: bool) -> list[Job]:
        if not ids:
            return []
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hmget(self._keys.jobs, ids)
            pipe.hmget(self._keys.summaries, ids)
            if with_payload:
                pipe.hmget(self._keys.payloads, ids)
            return _jobs_of_rows(*pipe.execute())


def with_bounds(page: Page, source: Source, candidates: int, looked_at: int, at_end: bool) -> Page:
    """Says of a page from candidates whether all were looked at."""
    if at_end or looked_at >= candidates:
        return page
    return replace(page, complete=False, looked_at=looked_at, candidates=candidates, source=source)


def sources_of(query: JobQuery) -> list[Source]:
    """What leads to the jobs of a query, other than the buckets: all of them must."""
    sources = [Source("tag", tag) for tag in sorted(query.all_tags)]
    if query.find_prefix:
        sources.append(Source("find", query.find_prefix))
    return sources


def is_in_order(query: JobQuery, sources: list[Source]) -> bool:
    """Whether one source alone is the answer, and in order."""
    filters = query.status or query.job_type or query.priority
    return len(sources) == 1 and sources[0].is_by_id and query.is_by_id and not filters


def _page_of_rows(
    query: JobQuery,
    total: int,
    records: list[str | None],
    summaries: list[str | None],
    payloads: list[str | None],
) -> Page:
    return Page(_jobs_of_rows(records, summaries, payloads), total, query)


def _jobs_of_rows(
    records: list[str | None],
    summaries: list[str | None],
    payloads: list[str | None] | tuple[()] = (),
) -> list[Job]:
    rows = zip(records, summaries, payloads or [None] * len(records), strict=True)
    return [
        Job.from_record(record, payload or "", summary)
        for record, summary, payload in rows
        if record is not None
    ]


def _matches(query: JobQuery, record: dict[str, Any]) -> bool:
    return (
        (not query.status or query.status == record["status"])
        and (not query.job_type or query.job_type == record["job_type"])
        and (not query.priority or query.priority == record["priority"])
        and query.all_tags <= set((record.get("tags") or "").split(","))
    )
