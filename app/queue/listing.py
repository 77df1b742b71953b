"""Pages of jobs: which match, in which order, exact at any offset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.job import Job, Priority, Status
from app.queue.keys import Keys
from app.queue.scripts import Scripts

SORTS = (
    "id",
    "job_type",
    "priority",
    "created_at",
    "picked_at",
    "completed_at",
    "status",
    "retry_count",
)
LIMIT_MAX = 200

# A tag has no index of its own for each filter and sort: its jobs are read, newest first.
CANDIDATES_MAX = 20_000
CANDIDATES_STEP = 500

# Ids stay exact in Lua up to 2^53.
_ID_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, in which order, which page. `None` or an empty text means any.

    Order: by `sort`, equal values by id; `desc` is the exact reverse of `asc`, except that jobs
    without the time sorted by come last in both. Text sorts by its characters. `q` finds an id;
    any other text finds a tag.

    Raises ValueError, which names the field and what is allowed.
    """

    status: Status | None = None
    job_type: str | None = None
    priority: Priority | None = None
    tag: str | None = None
    q: str | None = None
    sort: str = "id"
    descending: bool = True
    page: int = 1
    limit: int = 50

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise ValueError(f"sort: must be one of {', '.join(SORTS)}.")
        if self.page < 1:
            raise ValueError("page: must be 1 or more.")
        if not 1 <= self.limit <= LIMIT_MAX:
            raise ValueError(f"limit: must be from 1 to {LIMIT_MAX}.")

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    @property
    def job_id(self) -> int | None:
        """The id that `q` asks for, if it does."""
        text = (self.q or "").strip()
        digits = text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX
        return int(text) if digits else None

    @property
    def all_tags(self) -> set[str]:
        """The tags that a job must have."""
        from_q = (self.q or "").strip() if self.job_id is None else ""
        return {tag for tag in (self.tag, from_q) if tag}


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `total` counts all jobs that match; `complete` is False where a tag or search had
    too many candidates and only the newest `looked_at` were examined."""

    jobs: list[Job]
    total: int
    query: JobQuery
    complete: bool = True
    looked_at: int | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    job_id: int
    text: str
    record: dict[str, Any]


class Listing:
    """Answers a `JobQuery`: from the buckets where it can, else from the jobs of a tag."""

    def __init__(self, client: redis.Redis, keys: Keys, scripts: Scripts) -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = keys
        self._scripts = scripts

    def page(self, query: JobQuery, *, with_payload: bool) -> Page:
        """Raises QueueUnavailable, ServerUnsuitable."""
        with unavailable_as_queue_error():
            if query.job_id is not None:
                return self._page_of_one(query, with_payload)
            if not query.all_tags:
                return self._page_from_buckets(query, with_payload)
            if _is_tag_alone(query):
                return self._page_of_tag(query, with_payload)
            return self._page_from_candidates(query, with_payload)

    def _page_of_one(self, query: JobQuery, with_payload: bool) -> Page:
        [text] = self._client.hmget(self._keys.jobs, [str(query.job_id)])
        found = text is not None and _matches(query, json.loads(text))
        on_page = [text] if found and query.page == 1 else []
        return Page(self._jobs(on_page, with_payload), int(found), query)

    def _page_from_buckets(self, query: JobQuery, with_payload: bool) -> Page:
        total, records, payloads = self._scripts.call(
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
        payloads = payloads or [""] * len(records)
        jobs = [
            Job.from_record(record, payload or "")
            for record, payload in zip(records, payloads, strict=True)
            if record is not None
        ]
        return Page(jobs, total, query)

    def _page_of_tag(self, query: JobQuery, with_payload: bool) -> Page:
        [tag] = query.all_tags
        with self._client.pipeline(transaction=True) as pipe:
            pipe.zcard(self._keys.tag(tag))
            pipe.zrange(
                self._keys.tag(tag),
                query.offset,
                query.offset + query.limit - 1,
                desc=query.descending,
            )
            total, ids = pipe.execute()
        records = self._client.hmget(self._keys.jobs, ids) if ids else []
        return Page(self._jobs(records, with_payload), total, query)

    def _page_from_candidates(self, query: JobQuery, with_payload: bool) -> Page:
        with_tag, *other_tags = sorted(query.all_tags)
        size = self._client.zcard(self._keys.tag(with_tag))
        found = [
            candidate
            for candidate in self._candidates(with_tag)
            if _matches(query, candidate.record) and _has_tags(candidate.record, other_tags)
        ]
        ordered = _in_order(query, found)[query.offset : query.offset + query.limit]
        return Page(
            self._jobs([candidate.text for candidate in ordered], with_payload),
            total=len(found),
            query=query,
            complete=size <= CANDIDATES_MAX,
            looked_at=CANDIDATES_MAX if size > CANDIDATES_MAX else None,
        )

    def _candidates(self, tag: str) -> Iterator[_Candidate]:
        """The tag's jobs, newest first, at most `CANDIDATES_MAX`."""
        below = "+inf"
        for _ in range(CANDIDATES_MAX // CANDIDATES_STEP):
            # From the last id, not a rank: ranks shift when a job is deleted in between.
            ids = self._client.zrevrangebyscore(
                self._keys.tag(tag), below, "-inf", start=0, num=CANDIDATES_STEP
            )
            if not ids:
                return
            for job_id, text in zip(ids, self._client.hmget(self._keys.jobs, ids), strict=True):
                if text is not None:
                    yield _Candidate(int(job_id), text, json.loads(text))
            below = f"({ids[-1]}"

    def _jobs(self, records: list[str | None], with_payload: bool) -> list[Job]:
        """Reads records; `None` is a job that was deleted meanwhile."""
        jobs = [Job.from_record(text) for text in records if text is not None]
        if with_payload and jobs:
            payloads = self._client.hmget(self._keys.payloads, [str(job.id) for job in jobs])
            for job, payload in zip(jobs, payloads, strict=True):
                job.payload = payload or ""
        return jobs


def _is_tag_alone(query: JobQuery) -> bool:
    filters = query.status or query.job_type or query.priority
    by_id = query.sort in ("id", "created_at")  # ids are given in order of creation
    return len(query.all_tags) == 1 and not filters and by_id


def _matches(query: JobQuery, record: dict[str, Any]) -> bool:
    """Whether a record passes every filter but a tag that led to it."""
    return (
        (not query.status or query.status == record["status"])
        and (not query.job_type or query.job_type == record["job_type"])
        and (not query.priority or query.priority == record["priority"])
        and (query.job_id is None or not query.tag or _has_tags(record, [query.tag]))
    )


def _has_tags(record: dict[str, Any], tags: list[str]) -> bool:
    return set(tags) <= set((record.get("tags") or "").split(","))


def _in_order(query: JobQuery, candidates: list[_Candidate]) -> list[_Candidate]:
    sort = query.sort
    has_value = [c for c in candidates if c.record.get(sort) is not None]
    without = [c for c in candidates if c.record.get(sort) is None]
    has_value.sort(key=lambda c: (c.record[sort], c.job_id), reverse=query.descending)
    without.sort(key=lambda c: c.job_id, reverse=query.descending)
    return has_value + without
