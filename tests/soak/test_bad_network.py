"""Scenario 5: answers of the server are lost, late, or never come, and nobody says so."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from app.queue.job import Status
from tests.soak.judge import Verdict
from tests.soak.outage import longest, now, soak_jobs, verdict_of
from tests.soak.proxy import Network, bad_network
from tests.soak.scenario import sizes
from tests.soak.submitting import Submitter
from tests.soak.system import running_system


@dataclass(frozen=True, slots=True)
class Weather:
    jobs: int
    cut: float
    hang: float
    latency_seconds: float
    lease_seconds: float  # longer than the whole: what is stuck until it ends is seen


@sizes(
    short=Weather(600, cut=0.05, hang=0.01, latency_seconds=0.01, lease_seconds=60),
    long=Weather(2_000, cut=0.05, hang=0.005, latency_seconds=0.2, lease_seconds=3600),
)
def test_lost_answers_neither_lose_nor_double_anything(
    size: Weather,
    rng: random.Random,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    network = Network(random.Random(soak_seed), latency_seconds=size.latency_seconds)
    with running_system(lease_seconds=size.lease_seconds) as system:
        with bad_network(system.folder / "redis.sock", network):
            system.settings["REDIS_URL"] = network.url
            system.start_api()
            system.start_retry_worker()
            for _ in range(2):
                system.start_worker(WORKER_CONCURRENCY="8")
            system.wait_for_workers(2)
            network.cut, network.hang = size.cut, size.hang
            began = now()
            with Submitter(system, soak_jobs(size.jobs, 0.02, rng), batch=5) as submitter:
                submitter.join(size.jobs * 0.5)
            system.wait_until_final(size.jobs, size.jobs * 0.5)
            seconds = now() - began
            network.cut, network.hang = 0, 0
        totals, counts = system.totals(), system.counts()
        verdict = judge(
            verdict_of(
                system,
                f"5 answers: {size.cut:.0%} cut, {size.hang:.1%} hang, "
                f"{size.latency_seconds * 1000:.0f} ms",
                soak_seed,
                submitter,
                0,
            )
        )
        note(
            f"5: {network.answers} answers, {network.cuts} cut, {network.hung} never came; "
            f"{seconds:.0f} s, slowest request {longest(submitter, 200):.2f} s"
        )
        assert network.cuts > 0
        assert verdict.finished == verdict.answered == size.jobs
        assert len(set(submitter.answered)) == size.jobs
        assert totals["submitted"] == sum(counts.values()) == size.jobs, "no job twice in the queue"
        assert counts[Status.SUCCESS] == size.jobs
        assert verdict.ran_twice == totals["died"] == totals["released"] == 0, "no claim doubled"
