"""The page of jobs."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug import Response

from app.dashboard.query import PAGE_SIZES, BadAddress, address, job_query
from app.queue.errors import QueueError
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Status

bp = Blueprint("dashboard", __name__)
log = logging.getLogger(__name__)

# Those that the page sorts by, with their headings, in the order of the columns.
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


@bp.get("/")
def home() -> Response:
    return redirect(url_for("dashboard.index"))


@bp.get("/dashboard")
def index() -> str:
    return render_template("dashboard/index.html", **jobs_page(job_query(request.args)))


@bp.errorhandler(BadAddress)
def bad_address(error: BadAddress) -> tuple[str, int]:
    return render_template("dashboard/bad_address.html", problems=error.problems), 400


@bp.errorhandler(QueueError)
def queue_error(error: QueueError) -> tuple[str, int, dict[str, str]]:
    # The reason names hosts and settings; that is for the log.
    log.warning("Answered 503: %s", error)
    return render_template("dashboard/away.html"), 503, {"Retry-After": "2"}


def jobs_page(query: JobQuery) -> dict[str, Any]:
    """What the table, its tabs and its pager need."""
    inspector: Inspector = current_app.extensions["inspector"]
    counts = inspector.counts()
    page = inspector.page(query)
    return {
        "query": query,
        "page": page,
        "tabs": [(status, counts[status]) for status in Status],
        "total": sum(counts.values()),
        "last_page": max(1, -(-page.total // query.limit)),
        "columns": COLUMNS,
        "page_sizes": PAGE_SIZES,
        "now": time.time(),
        "link": lambda **changes: url_for("dashboard.index", **address(query, **changes)),
    }
