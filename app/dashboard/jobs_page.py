"""What the page of jobs shows: its table, and the counts and notices above it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import current_app, url_for

from app.dashboard import clock
from app.dashboard.attention import notices
from app.dashboard.query import PAGE_SIZES, address
from app.queue.inspector import LOOK_MAX, Inspector, JobQuery, Page
from app.queue.job import Priority, Status

# Workers fall silent, and jobs grow old, without a change in the queue.
NOTICES_FRESH_SECONDS = 15
TAGS_OFFERED = 50
LOOK_WIDER = 10  # times as far, at first

# Those that the page sorts by, with their headings.
COLUMNS = {
    "id": "ID",
    "job_type": "Job type",
    "priority": "Priority",
    "status": "Status",
    "created_at": "Created",
    "picked_at": "Picked",
    "completed_at": "Completed",
    "retry_count": "Retries",
}


def whole_page(query: JobQuery) -> dict[str, Any]:
    inspector = _inspector()
    # Read first: a change in between makes the page newer than it says, never older.
    revision = inspector.revision()
    return {
        **jobs_table(query, revision),
        **counts(query, revision),
        "job_types": inspector.job_types(),
        "priorities": Priority,
        "tags": inspector.tags(limit=TAGS_OFFERED),
    }


def jobs_table(query: JobQuery, revision: int) -> dict[str, Any]:
    """What the table and its pager need, whether it stands in the page or replaces itself."""
    page = _inspector().page(query)
    return {
        "query": query,
        "page": page,
        "last_page": max(1, -(-page.total // query.limit)),
        "columns": COLUMNS,
        "page_sizes": PAGE_SIZES,
        "now": clock.now(),
        "link": _linker(query),
        "further": _further(page),
        "fields": list(address(query).items()),
        "is_filtered": is_filtered(query),
        "revision": revision,
        "table_tag": table_tag(query, revision),
        "table_url": url_for("dashboard.jobs_table", **address(query, page=query.page)),
    }


def counts(query: JobQuery, revision: int) -> dict[str, Any]:
    """What the tabs and notices need. The tabs obey the filters that can be counted."""
    inspector = _inspector()
    stats = inspector.stats()
    by_status = stats["counts"]
    if query.job_type or query.priority:
        by_status = inspector.counts(job_type=query.job_type, priority=query.priority)
    return {
        "query": query,
        "tabs": [(status, by_status[status]) for status in Status],
        "total": sum(by_status.values()),
        "is_countable": not (query.tag or query.q),
        "notices": list(notices(stats)),
        "paused": stats["paused"],
        "link": _linker(query),
        "revision": revision,
        "counts_tag": counts_tag(query, revision),
        "counts_url": url_for("dashboard.counts", **address(query)),
    }


def table_tag(query: JobQuery, revision: int) -> str:
    """Changes with what the table shows. The query is part of it: one URL's answer must not
    pass for another's."""
    return f"{revision}-{zlib.crc32(repr(query).encode()):x}"


def counts_tag(query: JobQuery, revision: int) -> str:
    period = int(clock.now() // NOTICES_FRESH_SECONDS)
    return f"{table_tag(replace(query, page=1), revision)}-{period}"


def is_filtered(query: JobQuery) -> bool:
    return any((query.status, query.job_type, query.priority, query.tag, query.q))


def _further(page: Page) -> list[int]:
    """How many candidates a person may want to be looked at, when that was not all of them."""
    if page.source is None or page.candidates is None:
        return []
    looks = (LOOK_WIDER * page.query.look, LOOK_MAX)
    # The last one stands for all of them: by the time of the click there may be more.
    return [
        look
        for look in looks
        if page.query.look < look <= LOOK_MAX and (look == LOOK_MAX or look < page.candidates)
    ]


def _linker(query: JobQuery) -> Callable[..., str]:
    """`link(status=…)` in a template: the address of the same page of jobs, but for that."""
    return lambda **changes: url_for("dashboard.index", **address(query, **changes))


def _inspector() -> Inspector:
    inspector: Inspector = current_app.extensions["inspector"]
    return inspector
