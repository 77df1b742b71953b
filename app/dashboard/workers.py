"""The page of workers: who is there, what each holds, and who needs a look."""

from __future__ import annotations

import time
from typing import Any

from flask import current_app, render_template

from app.dashboard.presence import Presence
from app.dashboard.views import bp
from app.queue.inspector import Inspector
from app.queue.job import Status

JOBS_SHOWN = 16


@bp.get("/dashboard/workers")
def workers() -> str:
    return render_template("dashboard/workers.html", **workers_page())


@bp.get("/dashboard/partials/workers")
def workers_partial() -> str:
    # No 304 here: a heartbeat changes the page, but nothing in the queue.
    return render_template("dashboard/_workers.html", **workers_page()).strip()


def workers_page() -> dict[str, Any]:
    """Main workers first, each group by name."""
    inspector: Inspector = current_app.extensions["inspector"]
    now = time.time()
    found = [Presence(worker, now) for worker in inspector.workers()]
    alive = [worker for worker in found if not worker.is_silent]
    paused = inspector.paused()
    return {
        "now": now,
        "main_workers": [worker for worker in found if worker.is_main],
        "retry_workers": [worker for worker in found if not worker.is_main],
        "alive": len(alive),
        "slots": sum(worker.slots for worker in alive),
        "busy": sum(worker.busy for worker in alive),
        "paused": paused,
        "jobs_wait": not paused and inspector.counts()[Status.PENDING] > 0,
        "jobs_shown": JOBS_SHOWN,
    }
