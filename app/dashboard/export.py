"""Everything that a filter matches, as CSV or JSON Lines, streamed page by page."""

from __future__ import annotations

from itertools import chain
from typing import Any

from flask import Response, current_app, request

from app.dashboard.query import address, job_query
from app.dashboard.views import bp
from app.queue.export import Lines, csv_lines, json_lines
from app.queue.inspector import Inspector, JobQuery


@bp.get("/dashboard/export.csv")
def export_csv() -> Response:
    return _stream(csv_lines, "text/csv; charset=utf-8", "jobs.csv")


@bp.get("/dashboard/export.jsonl")
def export_jsonl() -> Response:
    return _stream(json_lines, "application/jsonl; charset=utf-8", "jobs.jsonl")


@bp.app_template_global()
def export_address(query: JobQuery) -> dict[str, Any]:
    """The parameters of a link that exports what `query` matches."""
    return address(query, sort=None, order=None, limit=None, look=None)


def _stream(lines: Lines, content_type: str, filename: str) -> Response:
    inspector: Inspector = current_app.extensions["inspector"]
    pages = inspector.walk(job_query(request.args))
    # The first page is read before the answer begins: Redis away is a 503, not half a file.
    first = next(pages, [])
    response = Response(lines(chain([first], pages)), content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response
