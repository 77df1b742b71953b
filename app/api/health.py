"""For a load balancer or an orchestrator: is the process alive, is it of use."""

from __future__ import annotations

from flask import Blueprint, Response

from app.api.answers import json_response
from app.api.views import inspector, queue
from app.queue.errors import QueueError

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """This process alone: Redis is not asked, as restarting the API would not mend it."""
    return json_response({"status": "ok"})


@bp.get("/readyz")
def readyz() -> Response:
    reasons = _reasons()
    if not reasons:
        return json_response({"status": "ok", "reasons": []})
    response = json_response({"status": "unavailable", "reasons": reasons}, 503)
    response.headers["Retry-After"] = "5"
    return response


def _reasons() -> list[str]:
    """Why jobs would not be done now; empty when they would."""
    try:
        queue().check_writable()
        workers_alive = inspector().stats()["workers_alive"]
    except QueueError:
        return ["Redis can't be written to."]
    return [] if workers_alive else ["No main worker is alive."]
