"""Jobs as CSV or JSON Lines, a chunk of text for each list of jobs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from app.queue.job import Job

Lines = Callable[[Iterable[list[Job]]], Iterator[str]]

# The payload is left out: it may hold secrets, and a million of them may be a terabyte.
COLUMNS = (
    *("id", "job_type", "priority", "status", "created_at", "picked_at", "completed_at"),
    *("retry_count", "last_error", "run_at", "tags", "worker", "attempts", "title", "people"),
)
_TIMES = frozenset({"created_at", "picked_at", "completed_at", "run_at"})
# A spreadsheet takes a cell that begins like this for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_lines(pages: Iterable[list[Job]]) -> Iterator[str]:
    """A header row, then a row for each job; times in ISO 8601, UTC."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for jobs in pages:
        writer.writerows([_cell(job, column) for column in COLUMNS] for job in jobs)
        yield _sendable(buffer.getvalue())
        buffer.seek(0)
        buffer.truncate()


def json_lines(pages: Iterable[list[Job]]) -> Iterator[str]:
    """An object on each line; times in seconds since the epoch, as in the API."""
    for jobs in pages:
        yield "".join(
            json.dumps({column: getattr(job, column) for column in COLUMNS}) + "\n" for job in jobs
        )


def _cell(job: Job, column: str) -> str:
    value = getattr(job, column)
    if value is None:
        return ""
    if column in _TIMES:
        moment = datetime.fromtimestamp(value, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _sendable(text: str) -> str:
    # Half a surrogate pair, which UTF-8 can't hold.
    return text.encode("utf-8", "replace").decode()
