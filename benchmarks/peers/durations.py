"""Jobs that take 1, 10 and 100 ms: how much of `concurrency / duration` is reached."""

from __future__ import annotations

import queue as queues
import threading
import time

from benchmarks.peers.arena import BULLMQ, OURS, Arena, arena, settle
from benchmarks.peers.plan import Plan
from benchmarks.peers.results import Results

PART = "durations"
CONCURRENCY = 16
SECONDS = 2.0  # if the ideal is reached
MILLISECONDS = (1, 10, 100)
LIMIT = "bare threads"


def measure(plan: Plan, results: Results) -> None:
    for milliseconds in MILLISECONDS:
        jobs = max(4 * CONCURRENCY, int(plan.seconds(SECONDS) * CONCURRENCY * 1000 / milliseconds))
        case = f"jobs of {milliseconds} ms"
        for peer in (OURS, BULLMQ):
            if peer in plan.peers:
                with arena(peer) as one:
                    reached = _share(one, jobs, milliseconds)
                    results.note(PART, case, peer.name, "of the ideal", reached)
        results.note(PART, case, LIMIT, "of the ideal", bare_share(jobs, milliseconds))


def _share(one: Arena, jobs: int, milliseconds: float) -> float:
    one.fill(jobs, milliseconds)
    with one.workers(1, CONCURRENCY):
        settle()
        one.open_gate()
        return share([began for _, began in one.wait_for_marks(jobs)], milliseconds)


def share(began: list[float], milliseconds: float) -> float:
    """Of the ideal, by when each job began: all but the first few begin when another has ended."""
    seconds = began[-1] - began[0]
    return (len(began) - CONCURRENCY) / seconds / (CONCURRENCY / milliseconds * 1000)


def bare_share(jobs: int, milliseconds: float) -> float:
    """The limit: threads that take sleeps from a queue in memory."""
    inbox: queues.SimpleQueue[float | None] = queues.SimpleQueue()
    began: list[float] = []

    def work() -> None:
        while (seconds := inbox.get()) is not None:
            began.append(time.time())
            time.sleep(seconds)

    for _ in range(jobs):
        inbox.put(milliseconds / 1000)
    for _ in range(CONCURRENCY):
        inbox.put(None)
    threads = [threading.Thread(target=work) for _ in range(CONCURRENCY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return share(began, milliseconds)
