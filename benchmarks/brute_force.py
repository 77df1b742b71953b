"""What a page must hold, the slow way: reads every job once, filters, sorts, cuts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern
from typing import Any

import redis

from app.queue.inspector import Inspector, JobQuery, Page
from app.queue.listing import Source


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    status: str
    job_type: str
    priority: str
    created_at: int
    picked_at: int | None
    completed_at: int | None
    retry_count: int
    tags: tuple[str, ...]
    title: str
    people: tuple[str, ...]


def read_all(client: redis.Redis) -> list[Row]:
    """Every job, in order of ids."""
    summaries = dict(client.hscan_iter("Job_summary", count=1000))
    rows = [
        _row(json.loads(text), summaries.pop(job_id, ""))
        for job_id, text in client.hscan_iter("Job_map", count=1000)
    ]
    return sorted({row.id: row for row in rows}.values(), key=lambda row: row.id)


def _row(record: dict[str, Any], summary: str) -> Row:
    title, _, *people = summary.split("\n") if summary else ("", "")
    return Row(
        id=record["id"],
        status=intern(record["status"]),
        job_type=intern(record["job_type"]),
        priority=intern(record["priority"]),
        created_at=record["created_at"],
        picked_at=record.get("picked_at"),
        completed_at=record.get("completed_at"),
        retry_count=record["retry_count"],
        tags=tuple(intern(tag) for tag in (record.get("tags") or "").split(",") if tag),
        title=title.casefold(),
        people=tuple(person.lower() for person in people),
    )


def is_equal(rows: list[Row], inspector: Inspector, query: JobQuery) -> bool:
    """Whether a page is what it says it is: of all jobs, or of so many candidates."""
    page = inspector.page(query)
    candidates = rows if page.complete else _candidates(rows, page)
    found = _in_order([row for row in candidates if _matches(row, query)], query)
    first = (query.page - 1) * query.limit
    wanted = found[first : first + query.limit]
    if page.total != len(found):
        return False
    return [job.id for job in page.jobs] == [row.id for row in wanted]


def _candidates(rows: list[Row], page: Page) -> list[Row]:
    """Those that the page says were looked at."""
    source, looked_at = page.source, page.looked_at
    assert source is not None
    if source.kind == "filter":
        matching = [row for row in rows if _passes(row, page.query)]
        return matching[-looked_at:] if looked_at else []
    if source.kind == "tag":
        return [row for row in rows if source.name in row.tags][-looked_at:]  # type: ignore[operator]
    entries = sorted((entry, row.id) for row in rows for entry in _entries(row, source))
    ids = {job_id for _, job_id in entries[-looked_at:]}  # type: ignore[operator]
    return [row for row in rows if row.id in ids]


def _entries(row: Row, source: Source) -> Iterable[str]:
    """The texts that a search finds a job by, in the order of the index."""
    found = [f"t:{row.title[:64]}\0"] if row.title else []
    for person in row.people:
        name, at, domain = person.rpartition("@")
        found += [f"r:{domain}@{name}\0"] if at else []
    return [entry for entry in found if entry.startswith(source.name)]


def _passes(row: Row, query: JobQuery) -> bool:
    return (
        query.status in (None, row.status)
        and query.job_type in (None, row.job_type)
        and query.priority in (None, row.priority)
    )


def _matches(row: Row, query: JobQuery) -> bool:
    return (
        _passes(row, query)
        and query.tag in (None, *row.tags)
        and (query.q is None or _is_found(row, query.q))
    )


def _is_found(row: Row, q: str) -> bool:
    if q.startswith("#"):
        return q[1:] in row.tags
    if q.startswith("@"):
        return any(person.endswith(q) for person in row.people)
    return q in row.people if "@" in q else row.title.startswith(q.casefold())


def _in_order(rows: list[Row], query: JobQuery) -> list[Row]:
    """Rows come in order of ids; sorting keeps that for equal values."""
    rows = rows[::-1] if query.descending else rows
    if query.is_by_id:
        return rows
    has_value = [row for row in rows if getattr(row, query.sort) is not None]
    without = [row for row in rows if getattr(row, query.sort) is None]
    has_value.sort(key=lambda row: getattr(row, query.sort), reverse=query.descending)
    return has_value + without
