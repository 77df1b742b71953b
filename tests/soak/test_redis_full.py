"""Scenario 6: the server has no memory left."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.queue.errors import QueueFull
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.soak.judge import Verdict
from tests.soak.outage import first_answer, now, submit_one, verdict_of
from tests.soak.scenario import sizes
from tests.soak.submitting import Submitter
from tests.soak.system import System, running_system
from tests.workers.processes import wait_until


@dataclass(frozen=True, slots=True)
class Room:
    megabytes: int  # above what the empty server takes
    payload_bytes: int


@sizes(short=Room(3, payload_bytes=4_000), long=Room(64, payload_bytes=4_000))
def test_a_full_server_refuses_submissions_and_nothing_else(
    size: Room,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    with running_system(RETENTION_MAX_JOBS="20", WORKER_CONCURRENCY="8") as system:
        system.start_api()
        memory: Any = system.client.info("memory")
        limit = memory["used_memory"] + size.megabytes * 1_000_000
        system.client.config_set("maxmemory", limit)
        # More than fit, also when room is made a first time.
        most = 2 * size.megabytes * 1_000_000 // size.payload_bytes
        jobs = [
            {"job_type": "soak", "payload": {"of": number, "text": "x" * size.payload_bytes}}
            for number in range(most)
        ]
        with Submitter(system, jobs, batch=20) as submitter:
            first_answer(submitter, 503, 0.0, 600)
            refusal = wait_until(lambda: refused_when_full(system), "it refuses one job", 60)
            assert refusal == (503, "30", "The queue has no room.")
            accepted = len(submitter.answered)
            assert_all_else_goes_on(system, submitter.answered)

            # The queue drains, and what retention frees is enough for submissions to come back by
            # themselves. The worker trims too as long as there is no retry worker.
            full_at = now()
            system.start_worker()
            wait_until(lambda: succeeded(system) >= accepted, "all of that time are done", 600)
            system.start_retry_worker()
            accepted_after = first_answer(submitter, 200, full_at, 120)
            submitter.stop()
        wait_until(lambda: all_are_done(system), "all are done", 600)
        note(
            f"6: {accepted} jobs in {size.megabytes} MB, "
            f"submissions back {accepted_after:.2f} s after the workers' start"
        )
        verdict = judge(verdict_of(system, "6 Redis full", soak_seed, submitter, now() - full_at))
        assert verdict.ran_twice == 0


def succeeded(system: System) -> int:
    totals: dict[str, int] = system.inspector.stats()["totals"]
    return totals["succeeded"]


def all_are_done(system: System) -> bool:
    counts = system.counts()
    return counts[Status.PENDING] == counts[Status.PROCESSING] == 0


def fill_up(queue: JobQueue) -> None:
    """To the last kilobyte: the API's batches are larger."""
    for size in (10_000, 1_000, 10):
        try:
            while True:
                queue.submit_many([NewJob("soak", f'{{"text": "{"x" * size}"}}', tags=("filler",))])
        except QueueFull:
            pass


def refused_when_full(system: System) -> tuple[int, str | None, str] | None:
    """The answer to one submission, unless it was taken: the buffers of connections count as well,
    and the server makes them smaller by and by."""
    fill_up(system.queue)
    answer = submit_one(system)
    return None if answer[0] == 200 else answer


def assert_all_else_goes_on(system: System, ids: list[int]) -> None:
    """What reads, and what ends jobs."""
    for method, path in (
        ("GET", "/healthz"),
        ("GET", "/api/tasks"),
        ("GET", "/api/stats"),
        ("GET", f"/api/job/status/{ids[0]}"),
        ("POST", f"/api/job/{ids[-1]}/cancel"),
        ("POST", f"/api/job/{ids[-1]}/retry"),
        ("POST", "/api/queue/pause"),
        ("POST", "/api/queue/resume"),
    ):
        status, answer = system.request(method, path)
        assert status == 200, (method, path, answer)
