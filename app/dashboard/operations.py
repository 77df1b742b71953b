"""The pages of bulk operations: what runs in the background, how far it is, and its stop button."""

from __future__ import annotations

from typing import Any

from flask import Response as FlaskResponse
from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from app.dashboard import clock
from app.dashboard.actions import SEE_OTHER, operations_store
from app.dashboard.polls import unless_seen
from app.dashboard.query import address
from app.dashboard.selection import described
from app.dashboard.verbs import VERBS
from app.dashboard.views import bp
from app.queue.errors import OperationNotFound
from app.queue.inspector import Inspector
from app.queue.operations import Operation
from app.security.acting import audit

RECENT = 50


@bp.get("/dashboard/operations")
def operations() -> str:
    return render_template("dashboard/operations.html", **recent_operations())


@bp.get("/dashboard/partials/operations")
def operations_list() -> FlaskResponse:
    return unless_seen(
        _tag(),
        lambda: render_template("dashboard/_operations_list.html", **recent_operations()).strip(),
    )


@bp.get("/dashboard/operations/<int:operation_id>")
def operation(operation_id: int) -> str:
    return render_template("dashboard/operation.html", **one_operation(operation_id))


@bp.get("/dashboard/partials/operation/<int:operation_id>")
def operation_partial(operation_id: int) -> FlaskResponse:
    return unless_seen(
        _tag(),
        lambda: render_template("dashboard/_operation.html", **one_operation(operation_id)).strip(),
    )


@bp.post("/dashboard/operations/<int:operation_id>/stop")
def stop_operation(operation_id: int) -> Response:
    found = operations_store().get(operation_id)
    if found.status == "running":
        operations_store().stop(operation_id)
        audit("stop", f"operation {operation_id}")
    else:
        flash(f"Operation {operation_id} is {found.status} already.", "refused")
    return redirect(url_for("dashboard.operation", operation_id=operation_id), SEE_OTHER)


@bp.errorhandler(OperationNotFound)
def operation_not_found(error: OperationNotFound) -> tuple[str, int]:
    return render_template("dashboard/operation_not_found.html"), 404


def recent_operations() -> dict[str, Any]:
    """What the list needs, newest first."""
    tag = _tag()  # before them: a change in between shows with the next poll
    found = operations_store().recent(RECENT)
    return {
        "operations": [_shown(one) for one in found],
        "now": clock.now(),
        "operations_tag": tag,
    }


def one_operation(operation_id: int) -> dict[str, Any]:
    """What the page of one operation needs. Raises OperationNotFound."""
    tag = _tag()
    found = _shown(operations_store().get(operation_id))
    return found | {"now": clock.now(), "operation_tag": tag}


def _tag() -> str:
    """Whatever happens to an operation raises the queue's revision."""
    inspector: Inspector = current_app.extensions["inspector"]
    return str(inspector.revision())


def _shown(found: Operation) -> dict[str, Any]:
    looked_at = found.done + found.skipped
    # Jobs may have come or gone since they were counted.
    total = max(found.total, looked_at)
    return {
        "operation": found,
        "verb": VERBS[found.action],
        "filters": described(found.query),
        "matching": address(found.query),
        "running": found.status == "running",
        "looked_at": looked_at,
        "total": total,
        "percent": 100 * looked_at // total if total else 100,
    }
