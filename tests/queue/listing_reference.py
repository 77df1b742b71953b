"""What a page must hold, by brute force: filter all records, sort them, cut."""

from __future__ import annotations

from typing import Any

from app.queue.listing import JobQuery

Record = dict[str, Any]


def cut(ordered: list[Record], query: JobQuery) -> tuple[list[int], int]:
    """The ids on the page, of records that are filtered and sorted, and how many match in all."""
    first = (query.page - 1) * query.limit
    return [record["id"] for record in ordered[first : first + query.limit]], len(ordered)


def matching(records: list[Record], query: JobQuery) -> list[Record]:
    return [
        record
        for record in records
        if query.status in (None, record["status"])
        and query.job_type in (None, record["job_type"])
        and query.priority in (None, record["priority"])
        and (query.tag is None or query.tag in record.get("tags", "").split(","))
        and (query.q is None or is_found(record, query.q))
    ]


def is_found(record: Record, q: str) -> bool:
    if q.isdigit():
        return record["id"] == int(q)
    if q.startswith("#"):
        return q[1:] in record.get("tags", "").split(",")
    people = [person.lower() for person in record.get("people", ())]
    if q.startswith("@"):
        return any(person.endswith(q.lower()) for person in people)
    if "@" in q:
        return q.lower() in people
    return "title" in record and record["title"].casefold().startswith(q.casefold())


def sort(records: list[Record], field: str, descending: bool) -> list[Record]:
    with_value = [record for record in records if field in record]
    without = [record for record in records if field not in record]

    def key(record: Record) -> tuple[Any, int]:
        value = record[field]
        return (value.encode() if isinstance(value, str) else value, record["id"])

    return sorted(with_value, key=key, reverse=descending) + sorted(
        without, key=lambda record: record["id"], reverse=descending
    )
