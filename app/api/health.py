"""For a load balancer, an orchestrator or Prometheus: alive, of use, and how busy."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, request

from app.api.answers import json_response
from app.api.views import inspector, queue
from app.metrics import exposition
from app.queue.errors import LayoutChanging, QueueError, ServerUnsuitable
from app.queue.job import Status
from app.queue.query import JobQuery

log = logging.getLogger(__name__)

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """This process alone: Redis is not asked, as restarting the API would not mend it."""
    return json_response({"status": "ok"})


@bp.get("/metrics")
def metrics() -> Response:
    """For Prometheus. Answers 200 with `mailroom_redis_up 0` when Redis is away."""
    body, content_type = exposition(inspector(), request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)


@bp.get("/readyz")
def readyz() -> Response:
    """An SMTP server that is away is a warning: restarting us, or sending the load balancer
    elsewhere, would not mend it, and jobs are still taken in."""
    try:
        queue().ensure_schema()
        wrong = queue().check_writable()
        # While a shard is away the others take jobs in, and home knows the workers.
        stats = _at_home() if wrong else inspector().stats()
        last_success_seconds = None if wrong else _last_success_seconds()
    except LayoutChanging as error:
        return _unavailable(str(error))
    except ServerUnsuitable as error:
        # The reason names hosts and settings; that is for the log.
        log.warning("Not ready: %s", error)
        return _unavailable("The store can't be used: the log says why.")
    except QueueError:
        return _unavailable("Redis can't be written to.")
    if not stats["workers_alive"]:
        return _unavailable("No main worker is alive.")
    answer = {"status": "ok", "reasons": [], "warnings": wrong + _warnings(stats)}
    ages = {
        "oldest_pending_seconds": stats["oldest_pending_seconds"],
        "last_success_seconds": last_success_seconds,
    }
    return json_response(answer | ages)


def _at_home() -> dict[str, Any]:
    """Of `Inspector.stats` what is asked here."""
    found = inspector()
    workers, now = found.workers(), found.now()
    alive = [one for one in workers if one.is_alive(now) and one.details.get("role") == "main"]
    known = {"workers_alive": len(alive), "paused": False, "breakers": found.breakers()}
    return known | {"oldest_pending_seconds": None}  # the shard that is away may have the oldest


def _last_success_seconds() -> float | None:
    """How long ago a job succeeded, of those that are not forgotten."""
    query = JobQuery(status=Status.SUCCESS, sort="completed_at", limit=1)
    jobs = inspector().page(query).jobs
    if not jobs or jobs[0].completed_at is None:
        return None
    return max(0.0, inspector().now() - jobs[0].completed_at)


def _unavailable(reason: str) -> Response:
    response = json_response({"status": "unavailable", "reasons": [reason], "warnings": []}, 503)
    response.headers["Retry-After"] = "5"
    return response


def _warnings(stats: dict[str, Any]) -> list[str]:
    paused = ["The queue is paused: no jobs are handed out."] if stats["paused"] else []
    return paused + [
        f"Worker {breaker['worker']} sends no mail: {breaker['reason']}"
        for breaker in stats["breakers"]
    ]
