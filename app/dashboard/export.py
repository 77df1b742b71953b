"""Everything that a filter matches, as CSV or JSON Lines, streamed page by page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from flask import Response, current_app, request

from app.dashboard.query import address, job_query
from app.dashboard.views import bp
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job

# The payload is left out: it may hold secrets, and a million of them may be a terabyte.
COLUMNS = (
    *("id", "job_type", "priority", "status", "created_at", "picked_at", "completed_at"),
    *("retry_count", "last_error", "run_at", "tags", "worker", "attempts", "title", "people"),
)
_TIMES = frozenset({"created_at", "picked_at", "completed_at", "run_at"})
# A spreadsheet takes a cell that begins like this for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@bp.get("/dashboard/export.csv")
def export_csv() -> Response:
    """A header row, then a row for each job; times in ISO 8601, UTC."""
    return _stream(_csv_lines, "text/csv; charset=utf-8", "jobs.csv")


@bp.get("/dashboard/export.jsonl")
def export_jsonl() -> Response:
    """An object on each line; times in seconds since the epoch, as in the API."""
    return _stream(_json_lines, "application/jsonl; charset=utf-8", "jobs.jsonl")


@bp.app_template_global()
def export_address(query: JobQuery) -> dict[str, Any]:
    """The parameters of a link that exports what `query` matches."""
    return address(query, sort=None, order=None, limit=None, look=None)


def _stream(
    lines: Callable[[Iterable[list[Job]]], Iterator[str]], content_type: str, filename: str
) -> Response:
    inspector: Inspector = current_app.extensions["inspector"]
    pages = inspector.walk(job_query(request.args))
    # The first page is read before the answer begins: Redis away is a 503, not half a file.
    first = next(pages, [])
    response = Response(lines(chain([first], pages)), content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _csv_lines(pages: Iterable[list[Job]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for jobs in pages:
        writer.writerows([_cell(job, column) for column in COLUMNS] for job in jobs)
        yield _sendable(buffer.getvalue())
        buffer.seek(0)
        buffer.truncate()


def _json_lines(pages: Iterable[list[Job]]) -> Iterator[str]:
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
