"""Scenarios come in two sizes, and end with a verdict."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest

from tests.soak.judge import JobLog, Verdict, lost_jobs
from tests.soak.system import System

LONG_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Size:
    """`jobs` of `seconds` each on average, and how many faults meanwhile."""

    jobs: int
    faults: int
    seconds: float
    workers: int
    concurrency: int
    lease_seconds: float
    patience_seconds: float = 60  # so that a broken system ends the test


def sizes(short: Any, long: Any) -> pytest.MarkDecorator:
    """The test takes `size`: `short` in every run, `long` with `-m soak`."""
    marks = [pytest.mark.soak, pytest.mark.timeout(LONG_SECONDS)]
    cases = [pytest.param(short, id="short"), pytest.param(long, id="long", marks=marks)]
    return pytest.mark.parametrize("size", cases)


def jobs_for(size: Size, rng: random.Random, job_type: str = "soak") -> list[dict[str, Any]]:
    """What to submit, over HTTP: jobs that take up to twice `size.seconds`."""
    return [
        {"job_type": job_type, "payload": {"seconds": round(rng.uniform(0, 2 * size.seconds), 4)}}
        for _ in range(size.jobs)
    ]


def moments(size: Size, rng: random.Random) -> list[int]:
    """After how many finished jobs each fault is due: at random, spread over the whole run."""
    step = size.jobs / (size.faults + 1)
    return [int(step * (number + rng.random())) for number in range(size.faults)]


def verdict_by_log(
    scenario: str,
    seed: int,
    system: System,
    log: JobLog,
    *,
    submitted: int,
    answered: Collection[int],
    recovery_seconds: float,
) -> Verdict:
    """What `soak_jobs` wrote, beside what the product says."""
    return Verdict(
        scenario,
        seed,
        submitted=submitted,
        answered=len(answered),
        finished=len(log.finished.keys() & set(answered)),
        lost=len(lost_jobs(answered, log.finished, system.inspector)),
        ran_twice=len(log.ran_twice),
        done_twice=len(log.done_twice),
        suspected=system.suspected(),
        recovery_seconds=recovery_seconds,
    )
