"""The page of the suppression list: to whom no mail is sent any more, why, and who changes that."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response
from werkzeug.datastructures import MultiDict

from app.dashboard import clock
from app.dashboard.actions import SEE_OTHER
from app.dashboard.query import TEXT_MAX, BadAddress
from app.dashboard.views import bp
from app.jobs.suppression_address import read_suppression_address
from app.queue.suppressions import USUAL_REASON, Suppression, Suppressions
from app.security.acting import audit, who

ROWS_ON_PAGE = 50
PAGE_MAX = 10**6


@bp.get("/dashboard/suppressions")
def suppressions() -> str:
    return render_template(
        "dashboard/suppressions.html", **suppressions_page(*_where(request.args))
    )


@bp.post("/dashboard/suppressions/add")
def add_suppression() -> Response:
    try:
        address = read_suppression_address(request.form.get("address", ""))
    except ValueError as error:
        flash(f"Nothing was added. {error}", "refused")
        return _back()
    reason = request.form.get("reason", "").strip() or USUAL_REASON
    entry = Suppression(address, reason, clock.now(), who())
    is_new = _store().add(entry)
    audit("suppress", address)
    flash(
        f"No mail is sent to {address} any more."
        if is_new
        else f"{address} was on the list already; it has this reason now.",
        "done",
    )
    return _back()


@bp.post("/dashboard/suppressions/remove")
def remove_suppression() -> Response:
    address = request.form.get("address", "")
    if _store().remove(address):
        audit("unsuppress", address)
        flash(f"Mail is sent to {address} again.", "done")
    else:
        flash("The address is not on the list.", "refused")
    return _back()


def suppressions_page(q: str | None, number: int) -> dict[str, Any]:
    """One page, newest first; with `q`, of the addresses that contain it."""
    page = _store().page(q, page=number, limit=ROWS_ON_PAGE)
    return {
        "rows": page.found,
        "total": page.total,
        "q": q,
        "number": number,
        "first": (number - 1) * ROWS_ON_PAGE + 1,
        "last_page": max(1, -(-page.total // ROWS_ON_PAGE)),
        "is_on": current_app.extensions["config"].mail_suppression,
        "now": clock.now(),
    }


def _where(given: MultiDict[str, str]) -> tuple[str | None, int]:
    """Search and page number. Raises BadAddress."""
    q, page = given.get("q", "").strip(), given.get("page", "1")
    if len(q) > TEXT_MAX:
        raise BadAddress([f"q: at most {TEXT_MAX} characters are allowed."])
    if page.isascii() and page.isdigit() and len(page) <= 7 and 1 <= int(page) <= PAGE_MAX:
        return q or None, int(page)
    raise BadAddress([f"page: must be a whole number from 1 to {PAGE_MAX}."])


def _back() -> Response:
    """To the part of the list that the form stood on."""
    q, page = _where(request.form)
    page_shown = page if page > 1 else None
    return redirect(url_for("dashboard.suppressions", q=q, page=page_shown), SEE_OTHER)


def _store() -> Suppressions:
    found: Suppressions = current_app.extensions["suppressions"]
    return found
