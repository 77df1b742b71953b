"""All jobs that match a query, by id, however many they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from app.queue.job import Job
from app.queue.listing import LIMIT_MAX, JobQuery, Listing
from app.queue.scripts import Scripts
from app.queue.summary import is_found_by

Row = tuple[Job, str]  # with its entry in `Job_summary`, or ""
Passes = Callable[[Job, str], bool]
LOOK = 20_000  # candidates; looking through all jobs costs more than that
RANGE_MAX = 1000  # ids in one call, where most of them were deleted, or are other shards'
SPARSE = 8  # where fewer than one of so many ids is there, the buckets lead to them sooner


def walk(query: JobQuery, scripts: Scripts, listing: Listing) -> Iterator[list[Job]]:
    """Jobs without payload, oldest first, each once, in lists of `RANGE_MAX` at most.

    A job that matches from beginning to end is there whatever others do meanwhile; one that begins
    or ceases to match may be there or not; one submitted meanwhile is not.

    Raises QueueUnavailable, ServerUnsuitable.
    """
    first = listing.page(_by_id(query, descending=False, limit=LIMIT_MAX), with_payload=False)
    if first.complete and first.total <= LIMIT_MAX:
        if first.jobs:
            yield first.jobs
        return
    if first.looked_at == 0:  # searching is switched off
        return
    # What a tag or search leads to is bounded and not by id: here all jobs are looked through.
    filters_only = replace(query, tag=None, q=None)
    oldest, newest = (
        listing.page(_by_id(filters_only, descending=descending, limit=1), with_payload=False).jobs
        for descending in (False, True)
    )
    if not oldest or not newest:
        return
    found = (
        _in_buckets(filters_only, scripts, newest[0].id)
        if query.status or query.job_type or query.priority
        else _in_range(filters_only, scripts, oldest[0].id, newest[0].id)
    )
    passes = _tags_and_search(query)
    for rows in found:
        if jobs := [job for job, summary in rows if passes(job, summary)]:
            yield jobs


def _in_range(
    query: JobQuery, scripts: Scripts, first_id: int, last_id: int
) -> Iterator[list[Row]]:
    """Every job of a query without filters: ids follow each other but for those that are gone."""
    step = LIMIT_MAX
    while first_id <= last_id:
        end = min(first_id + step - 1, last_id)
        rows = _rows(scripts.call("range", first_id, end))
        yield rows
        if step == RANGE_MAX and SPARSE * len(rows) < step:
            yield from _in_buckets(query, scripts, last_id, after=end)
            return
        step = LIMIT_MAX if 2 * len(rows) > LIMIT_MAX else min(2 * step, RANGE_MAX)
        first_id = end + 1


def _in_buckets(
    query: JobQuery, scripts: Scripts, last_id: int, *, after: int = 0
) -> Iterator[list[Row]]:
    filters = (query.status or "", query.job_type or "", query.priority or "")
    while after < last_id:
        rows = _rows(scripts.call("walk", *filters, after, LIMIT_MAX))
        if not rows:
            return
        yield [row for row in rows if row[0].id <= last_id]
        after = rows[-1][0].id


def _rows(answer: Any) -> list[Row]:
    _, records, summaries, _ = answer
    return [
        (Job.from_record(record, "", summary), summary or "")
        for record, summary in zip(records, summaries, strict=True)
        if record
    ]


def _tags_and_search(query: JobQuery) -> Passes:
    tags, prefix = query.all_tags, query.find_prefix

    def passes(job: Job, summary: str) -> bool:
        found = not prefix or bool(summary) and is_found_by(summary, prefix)
        return found and tags <= set(job.tags)

    return passes


def _by_id(query: JobQuery, *, descending: bool, limit: int) -> JobQuery:
    return replace(query, sort="id", descending=descending, page=1, limit=limit, look=LOOK)
