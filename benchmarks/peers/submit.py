"""Submit: many at once through each queue's own call, and over HTTP through gunicorn."""

from __future__ import annotations

import json
from contextlib import ExitStack

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
SECONDS = 5.0
SLICES, SLICE_SECONDS = 5, 1.0
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
        _one_by_one(one, json.dumps(job).encode(), plan.seconds(SLICE_SECONDS), results)
        with gunicorn(OURS_APP, one.url, one.folder) as (port, _):
            body = json.dumps({"jobs": [job] * BATCH_JOBS}).encode()
            served = load(port, "/api/jobs/batch", body, one.folder, 4, plan.seconds(SECONDS))
            figure = served.requests * BATCH_JOBS
            results.note(PART, BATCH, OURS.name, "jobs/s", figure)


def _one_by_one(one: Arena, body: bytes, seconds: float, results: Results) -> None:
    """Both take turns, each several times: what else the machine does meets both alike."""
    requests, cpu = {LIMIT: 0.0, OURS.name: 0.0}, {LIMIT: 0.0, OURS.name: 0.0}
    with ExitStack() as servers:
        asked = {
            who: (*servers.enter_context(gunicorn(application, one.url, one.folder)), path)
            for who, application, path in (
                (LIMIT, BARE, "/bare"),
                (OURS.name, OURS_APP, "/api/process_query"),
            )
        }
        for number in range(SLICES + 1):
            for who, (port, pid, path) in asked.items():
                before = cpu_seconds(pid)
                served = load(port, path, body, one.folder, CONNECTIONS, seconds)
                if number:  # the first is to warm up
                    requests[who] += served.requests * seconds
                    cpu[who] += cpu_seconds(pid) - before
    for who in asked:
        results.note(PART, ONE, who, "requests/s", requests[who] / (SLICES * seconds))
        results.note(PART, COST, who, "ms", cpu[who] / requests[who] * 1000)
