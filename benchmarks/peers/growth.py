"""Growth: draining and paging while so many other jobs are in the store.

The server rewrites its append-only file whenever that has doubled, which a store that is filled in
a minute brings about again and again. What that costs is measured on its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from benchmarks.dashboard import timed
from benchmarks.fill import fill
from benchmarks.memory import finish
from benchmarks.peers.arena import OURS, Arena, arena
from benchmarks.peers.drain import drained
from benchmarks.peers.plan import Plan
from benchmarks.peers.results import Results
from benchmarks.servers import PAYLOAD, wait_until

PART = "growth"
STORES = (1_000, 100_000, 1_000_000)
JOBS = 10_000
PAGES = 40
DRAIN = "drain"
PAGES_OF: dict[str, Status | None] = {
    "a page of all jobs": None,
    "a page of those that succeeded": Status.SUCCESS,
}
REWRITING = "drain, during a rewrite"
REWRITTEN_SECONDS = 120


def measure(plan: Plan, results: Results) -> None:
    """Each store is filled anew, which takes minutes: what was drained would be in it too."""
    for others in STORES:
        who = f"{others:,} others"
        with arena(OURS) as one:
            queue = JobQueue(one.client)
            fill(queue, plan.jobs(others), PAYLOAD)
            finish(queue)  # or a worker would drain the backlog first
            _wait_for_rewrite(one)
            for case, status in PAGES_OF.items():
                results.note(PART, case, who, "ms", page_ms(one, status))
            results.note(PART, DRAIN, who, "jobs/s", _drained(plan, one))
            _wait_for_rewrite(one)
            rate = _drained(plan, one, at_gate=one.client.bgrewriteaof)
            if _rewrites(one):  # else it was over before all jobs were done
                results.note(PART, REWRITING, who, "jobs/s", rate)


def page_ms(one: Arena, status: Status | None) -> float:
    """The median over the first, a middle and the last page of 50."""
    inspector = Inspector(one.client)
    last = max(1, inspector.page(JobQuery(status=status)).total // 50)
    queries = [JobQuery(status=status, page=number) for number in (1, last // 2 + 1, last)]
    return statistics.median(
        timed(lambda query=query: inspector.page(query)) for query in queries * PAGES
    )


def _drained(plan: Plan, one: Arena, at_gate: Callable[[], object] | None = None) -> float:
    with one.cleared() as again:
        return drained(again, plan.jobs(JOBS), at_gate=at_gate)


def _wait_for_rewrite(one: Arena) -> None:
    wait_until(lambda: not _rewrites(one), "the file is rewritten", REWRITTEN_SECONDS)


def _rewrites(one: Arena) -> bool:
    found = one.client.info("persistence")
    return bool(found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"])
