"""How fast one worker process drains no-op jobs, beside a bare loop of the same script.

Run: python -m benchmarks.drain [jobs] [rounds]
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from app.queue import outcome as outcomes
from app.queue.inspector import Inspector
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from benchmarks.servers import PAYLOAD, open_client, server, wait_until, worker

BATCH = 100
GOAL = 15_000


def main(jobs: int = 20_000, rounds: int = 3) -> None:
    limits, drains, submits = [], [], []
    with server() as url:
        client = open_client(url)
        queue, inspector = JobQueue(client), Inspector(client)
        for _ in range(rounds):
            client.flushall()
            submits.append(fill(queue, jobs))
            limits.append(bare_loops(url))
            client.flushall()
            fill(queue, jobs)
            drains.append(one_worker(url, queue, inspector, jobs))
    limit, drain = statistics.median(limits), statistics.median(drains)
    print(f"submit, 250 a call:            {statistics.median(submits):>8,.0f} jobs/s")
    print(f"bare loop, {BATCH} a call:         {limit:>8,.0f} jobs/s  ({spread(limits)})")
    print(f"one worker process, 16 threads: {drain:>7,.0f} jobs/s  ({spread(drains)})")
    print(f"worker / bare loop:             {drain / limit:>7.2f}")
    print(f"worker / goal of {GOAL:,}:       {drain / GOAL:>7.2f}")


def fill(queue: JobQueue, jobs: int) -> float:
    began = time.perf_counter()
    queue.submit_many([NewJob("noop", PAYLOAD)] * jobs)
    return jobs / (time.perf_counter() - began)


def bare_loop(queue: JobQueue) -> int:
    """The limit of one who waits for each answer: the same script until nothing waits, nothing run,
    one thread, one connection. Returns how many jobs it settled."""
    finished: list[outcomes.Outcome] = []
    settled = 0
    while True:
        turn = queue.turn("bare", finished, BATCH)
        settled += len(finished)
        if not turn.jobs:
            return settled
        finished = [outcomes.completed(job) for job in turn.jobs]


def bare_loops(url: str, processes: int = 1) -> float:
    """Jobs a second of so many bare loops at once, each in a process of its own."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_timed_loop, [url] * processes, [False] * processes))  # they are there
        parts = list(pool.map(_timed_loop, [url] * processes, [True] * processes))
    began, ended = min(part[0] for part in parts), max(part[1] for part in parts)
    return sum(part[2] for part in parts) / (ended - began)


def _timed_loop(url: str, work: bool) -> tuple[float, float, int]:
    queue = JobQueue(open_client(url))
    began = time.time()
    settled = bare_loop(queue) if work else 0
    return began, time.time(), settled


def one_worker(url: str, queue: JobQueue, inspector: Inspector, jobs: int) -> float:
    """From the first claim to the last completion, by the server's clock."""
    queue.pause()
    with worker(url):
        wait_until(lambda: inspector.workers(), "the worker is there")
        queue.resume()
        wait_until(lambda: inspector.counts()[Status.SUCCESS] == jobs, "all jobs succeeded", 120)
    last = inspector.keys.completed("success:noop:low:1")
    first = inspector.keys.picked("success:noop:low:1")
    client = open_client(url)
    began = client.zrange(first, 0, 0, withscores=True)[0][1]
    ended = client.zrange(last, -1, -1, withscores=True)[0][1]
    return jobs / ((ended - began) / 1000)


def spread(figures: list[float]) -> str:
    return f"{min(figures):,.0f} to {max(figures):,.0f}"


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
