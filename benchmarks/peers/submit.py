"""Submit: many at once through each queue's own call, and over HTTP through gunicorn."""

from __future__ import annotations

import json

from benchmarks.peers.arena import OURS, Arena, arena
from benchmarks.peers.plan import Plan
from benchmarks.peers.processes import cpu_seconds
from benchmarks.peers.results import Results
from benchmarks.servers import PAYLOAD
from benchmarks.web import BARE, gunicorn, load
from benchmarks.web import OURS as OURS_APP

PART = "submit"
JOBS = 20_000
MANY, ONE, BATCH = (
    "many at once, the queue's own call",
    "POST /api/process_query",
    "POST /api/jobs/batch",
)
COST = "processor time of a request"
LIMIT = "bare view"
SECONDS = 6.0
BATCH_JOBS = 1_000
CONNECTIONS = 16


def measure(plan: Plan, results: Results) -> None:
    for peer in plan.peers:
        with arena(peer) as one:
            # What one call costs the first time (connection, scripts) is not asked here.
            jobs = plan.jobs(JOBS, peer)
            results.note(PART, MANY, peer.name, "jobs/s", jobs / one.fill(jobs))
    job = {"job_type": "noop", "payload": PAYLOAD}
    with arena(OURS) as one:
        for application, path, who in (
            (BARE, "/bare", LIMIT),
            (OURS_APP, "/api/process_query", OURS.name),
        ):
            seconds = plan.seconds(SECONDS)
            _serve(one, application, path, who, json.dumps(job).encode(), seconds, results)
        with gunicorn(OURS_APP, one.url, one.folder) as (port, _):
            body = json.dumps({"jobs": [job] * BATCH_JOBS}).encode()
            served = load(port, "/api/jobs/batch", body, one.folder, 4, plan.seconds(SECONDS))
            figure = served.requests * BATCH_JOBS
            results.note(PART, BATCH, OURS.name, "jobs/s", figure)


def _serve(
    one: Arena,
    application: str,
    path: str,
    who: str,
    body: bytes,
    seconds: float,
    results: Results,
) -> None:
    with gunicorn(application, one.url, one.folder) as (port, pid):
        load(port, path, body, one.folder, CONNECTIONS, seconds / 6)  # warm
        before = cpu_seconds(pid)
        served = load(port, path, body, one.folder, CONNECTIONS, seconds)
        cpu = cpu_seconds(pid) - before
        results.note(PART, ONE, who, "requests/s", served.requests)
        results.note(PART, COST, who, "ms", cpu / (served.requests * seconds) * 1000)
