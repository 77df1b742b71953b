"""The page of jobs, and the parts of it that replace themselves."""

from __future__ import annotations

import logging

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from werkzeug import Response

from app.dashboard import jobs_page
from app.dashboard.polls import unless_seen
from app.dashboard.query import BadAddress, job_query
from app.queue.errors import QueueError
from app.queue.inspector import Inspector

bp = Blueprint("dashboard", __name__)
log = logging.getLogger(__name__)


@bp.get("/")
def home() -> Response:
    return redirect(url_for("dashboard.index"))


@bp.get("/dashboard")
def index() -> str:
    return render_template("dashboard/index.html", **jobs_page.whole_page(job_query(request.args)))


@bp.get("/dashboard/partials/jobs-table")
def jobs_table() -> Response:
    query, revision = job_query(request.args), _revision()
    return unless_seen(
        jobs_page.table_tag(query, revision),
        lambda: _part("_jobs_table", **jobs_page.jobs_table(query, revision)),
    )


@bp.get("/dashboard/partials/counts")
def counts() -> Response:
    query, revision = job_query(request.args), _revision()
    return unless_seen(
        jobs_page.counts_tag(query, revision),
        lambda: _part("_counts", **jobs_page.counts(query, revision), replaces_itself=True),
    )


@bp.errorhandler(BadAddress)
def bad_address(error: BadAddress) -> tuple[str, int]:
    return render_template("dashboard/bad_address.html", problems=error.problems), 400


@bp.errorhandler(QueueError)
def queue_error(error: QueueError) -> tuple[str, int, dict[str, str]]:
    # The reason names hosts and settings; that is for the log.
    log.warning("Answered 503: %s", error)
    # A part of a page has a banner of its own for this.
    is_part = request.path.startswith("/dashboard/partials/")
    page = "" if is_part else render_template("dashboard/away.html")
    return page, 503, {"Retry-After": "2"}


def _part(name: str, **context: object) -> str:
    # Blanks around a part would pile up in the page with every swap.
    return render_template(f"dashboard/{name}.html", **context).strip()


def _revision() -> int:
    inspector: Inspector = current_app.extensions["inspector"]
    return inspector.revision()
