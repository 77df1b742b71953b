"""Drain: jobs that do nothing, filled before, by one worker process and by two."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.drain import bare_loops
from benchmarks.peers.arena import OURS, Arena, arena, settle
from benchmarks.peers.plan import Plan
from benchmarks.peers.results import Results
from benchmarks.servers import wait_until

PART = "drain"
JOBS = 20_000
LIMIT = "bare loop"
COMPLETED = "Completed:success:noop:low:1"
CASES = {1: "one worker process", 2: "two worker processes"}


def measure(plan: Plan, results: Results) -> None:
    for processes, case in CASES.items():
        for peer in plan.peers:
            jobs = plan.jobs(JOBS, peer)
            with arena(peer) as one:
                results.note(PART, case, peer.name, "jobs/s", drained(one, jobs, processes))
        with arena(OURS) as one:
            one.fill(plan.jobs(JOBS))
            results.note(PART, case, LIMIT, "jobs/s", bare_loops(one.url, processes))


def drained(
    one: Arena, jobs: int, processes: int = 1, at_gate: Callable[[], object] | None = None
) -> float:
    """Jobs a second, from the first one's beginning to the last one's; ours to the last one's
    completion, which not all of the others write down."""
    before = _completed(one)
    one.fill(jobs)
    with one.workers(processes, one.peer.drain_concurrency):
        settle()
        if at_gate:
            at_gate()
        one.open_gate()
        marks = one.wait_for_marks(jobs)
        ended = marks[-1][1]
        if one.peer is OURS:
            wait_until(lambda: _completed(one) == before + jobs, "all jobs succeeded")
            [(_, ended_ms)] = one.client.zrange(COMPLETED, -1, -1, withscores=True)
            ended = ended_ms / 1000
    return jobs / (ended - marks[0][1])


def _completed(one: Arena) -> int:
    return one.client.zcard(COMPLETED)
