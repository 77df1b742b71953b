"""What a page must hold, by brute force: filter all records, sort them, cut."""

from __future__ import annotations

from typing import Any

from app.queue.listing import JobQuery

Record = dict[str, Any]


def expected_ids(records: list[Record], query: JobQuery) -> tuple[list[int], int]:
    """The ids on the page, and how many match in all."""
    ordered = sort(matching(records, query), query.sort, query.descending)
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
    ]


def sort(records: list[Record], field: str, descending: bool) -> list[Record]:
    with_value = [record for record in records if field in record]
    without = [record for record in records if field not in record]

    def key(record: Record) -> tuple[Any, int]:
        value = record[field]
        return (value.encode() if isinstance(value, str) else value, record["id"])

    return sorted(with_value, key=key, reverse=descending) + sorted(
        without, key=lambda record: record["id"], reverse=descending
    )
