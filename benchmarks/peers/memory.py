"""Memory: bytes of a pending and of a finished job, and what an API process holds."""

from __future__ import annotations

import json

from app.queue.submission import NewJob
from benchmarks.memory import measure as measure_job
from benchmarks.memory import used
from benchmarks.peers.arena import OURS, Peer, arena, settle
from benchmarks.peers.plan import Plan
from benchmarks.peers.processes import rss_mb, tree
from benchmarks.peers.results import Results
from benchmarks.servers import PAYLOAD
from benchmarks.web import OURS as OURS_APP
from benchmarks.web import gunicorn, load

PART = "memory"
JOBS = 20_000
PENDING, FINISHED = "a pending job", "a finished job"
API = "an API process"
CONNECTIONS = 16


def measure(plan: Plan, results: Results) -> None:
    jobs = plan.jobs(JOBS)
    pending, finished = measure_job([NewJob("noop", PAYLOAD)] * jobs)
    results.note(PART, PENDING, OURS.name, "bytes", pending)
    results.note(PART, FINISHED, OURS.name, "bytes", finished)
    for peer in plan.others:
        _peer(peer, plan.jobs(JOBS, peer), results)
    _api(plan, results)


def _peer(peer: Peer, jobs: int, results: Results) -> None:
    with arena(peer) as one:
        one.fill(1)
        empty = used(one.client)
        one.fill(jobs)
        settle(0.5)
        results.note(PART, PENDING, peer.name, "bytes", (used(one.client) - empty) / jobs)
        if not peer.keeps_finished:
            return
        with one.workers(1, peer.drain_concurrency):
            one.open_gate()
            one.wait_for_marks(jobs + 1)
            settle()
        results.note(PART, FINISHED, peer.name, "bytes", (used(one.client) - empty) / jobs)


def _api(plan: Plan, results: Results) -> None:
    """Of the larger of the processes that answer, after some thousand requests."""
    body = json.dumps({"job_type": "noop", "payload": PAYLOAD}).encode()
    with arena(OURS) as one, gunicorn(OURS_APP, one.url, one.folder) as (port, pid):
        load(port, "/api/process_query", body, one.folder, CONNECTIONS, plan.seconds(3))
        answering = [process for process in tree(pid) if process != pid]
        results.note(PART, API, OURS.name, "MB", max(map(rss_mb, answering)))
