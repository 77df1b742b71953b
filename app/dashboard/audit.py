"""The page of the audit log: who did what to which jobs."""

from __future__ import annotations

from typing import Any

from flask import current_app, render_template, request

from app.dashboard import clock
from app.dashboard.query import BadAddress
from app.dashboard.views import bp
from app.queue.audit import Audit

ROWS_ON_PAGE = 50


@bp.get("/dashboard/audit")
def audit_log() -> str:
    return render_template("dashboard/audit.html", **audit_page(request.args.get("before")))


def audit_page(before: str | None) -> dict[str, Any]:
    """One page, newest first; `before` is the id of the last entry of the page before it.

    Raises BadAddress.
    """
    found: Audit = current_app.extensions["audit"]
    try:
        entries = found.recent(ROWS_ON_PAGE + 1, before=before or None)
    except ValueError as error:
        raise BadAddress([str(error)]) from None
    return {
        "entries": entries[:ROWS_ON_PAGE],
        "older": entries[ROWS_ON_PAGE - 1].id if len(entries) > ROWS_ON_PAGE else None,
        "is_newest": not before,
        "total": found.count(),
        "now": clock.now(),
    }
