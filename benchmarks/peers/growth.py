"""Growth: draining and paging while so many other jobs are in the store."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

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
from benchmarks.servers import PAYLOAD

PART = "growth"
STORES = (1_000, 100_000, 1_000_000)
JOBS = 10_000
PAGES = 40
DRAIN, PAGE = "drain", "a page of 50 jobs"


def measure(plan: Plan, results: Results, rounds: int) -> None:
    """A store is filled once: that takes minutes."""
    for others in STORES:
        others = plan.jobs(others)
        who = f"{others:,} others"
        with arena(OURS) as one:
            queue = JobQueue(one.client)
            fill(queue, others, PAYLOAD)
            finish(queue)  # or a worker would drain the backlog first
            for _ in range(rounds):
                results.note(PART, PAGE, who, "ms", page_ms(one))
                with tempfile.TemporaryDirectory(prefix="mailroom-arena-") as folder:
                    again = Arena(OURS, one.url, Path(folder))
                    rate = drained(again, plan.jobs(JOBS))
                results.note(PART, DRAIN, who, "jobs/s", rate)


def page_ms(one: Arena) -> float:
    """The median over first, middle and last pages of all jobs, and of those that succeeded."""
    inspector = Inspector(one.client)
    times = []
    for status in (None, Status.SUCCESS):
        last = max(1, inspector.page(JobQuery(status=status)).total // 50)
        for number in (1, last // 2 + 1, last):
            query = JobQuery(status=status, page=number)
            times += [timed(lambda query=query: inspector.page(query)) for _ in range(PAGES)]
    return statistics.median(times)
