"""The page of workers: who is there, what each holds, and who needs a look."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, render_template

from app.dashboard import clock
from app.dashboard.polls import tag_of, unless_seen
from app.dashboard.presence import Presence
from app.dashboard.views import bp
from app.queue.inspector import Inspector
from app.queue.job import Status

JOBS_SHOWN = 16
# Workers fall silent without a word, and the queue is paused without theirs.
FRESH_SECONDS = 15


@bp.get("/dashboard/workers")
def workers() -> str:
    return render_template("dashboard/workers.html", **workers_page())


@bp.get("/dashboard/partials/workers")
def workers_partial() -> Response:
    return unless_seen(
        _tag(), lambda: render_template("dashboard/_workers.html", **workers_page()).strip()
    )


def workers_page() -> dict[str, Any]:
    """Main workers first, each group by name."""
    inspector = _inspector()
    now, tag = clock.now(), _tag()  # before the workers: what comes in between shows next time
    found = [Presence(worker, now) for worker in inspector.workers()]
    alive = [worker for worker in found if not worker.is_silent]
    shown = [worker for worker in found if not worker.is_dead]
    paused = inspector.paused()
    return {
        "now": now,
        "main_workers": [worker for worker in shown if worker.is_main],
        "retry_workers": [worker for worker in shown if not worker.is_main],
        "dead_workers": [worker for worker in found if worker.is_dead],
        "alive": len([worker for worker in alive if worker.is_main]),
        "slots": sum(worker.slots for worker in alive),
        "busy": sum(worker.busy for worker in alive),
        "paused": paused,
        "jobs_wait": not paused and inspector.counts()[Status.PENDING] > 0,
        "jobs_shown": JOBS_SHOWN,
        "workers_tag": tag,
    }


def _tag() -> str:
    return tag_of(_inspector().heartbeats(), int(clock.now() // FRESH_SECONDS))


def _inspector() -> Inspector:
    inspector: Inspector = current_app.extensions["inspector"]
    return inspector
