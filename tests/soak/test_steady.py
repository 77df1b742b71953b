"""Scenario 13: an hour at half load; nothing grows. SOAK_MINUTES makes the long form shorter."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.queue.keys import Keys
from tests.soak.judge import Verdict
from tests.soak.outage import now
from tests.soak.system import System, running_system
from tests.start.running import command_line, pids_of
from tests.workers.processes import wait_until

MINUTES = float(os.environ.get("SOAK_MINUTES") or 60)
GROWTH_MAX = 0.05
DESCRIPTORS_MAX = 3  # more at the end than in the second quarter: a connection or two come and go


@dataclass(frozen=True, slots=True)
class Load:
    seconds: float
    per_second: int  # about half of what one worker does here, beside everything else
    jobs_kept: int
    samples: int
    is_judged: bool  # a few seconds tell nothing of growth


@dataclass
class Sample:
    """Bytes of memory, and open files, by name."""

    memory: dict[str, float]
    descriptors: dict[str, float]


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(Load(8, 50, 200, 16, is_judged=False), id="short"),
        pytest.param(
            Load(MINUTES * 60, 100, 5_000, 400, is_judged=True),
            id="long",
            marks=[pytest.mark.soak, pytest.mark.timeout(MINUTES * 60 + 600)],
        ),
    ],
)
def test_nothing_grows_under_a_steady_load(
    load: Load,
    soak_seed: int,
    judge: Callable[[Verdict], Verdict],
    note: Callable[[str], None],
) -> None:
    with running_system(
        lease_seconds=60, WORKER_CONCURRENCY="8", RETENTION_MAX_JOBS=str(load.jobs_kept)
    ) as system:
        # All ids have six digits: one more digit in the indexes, 5 % of all, would pass for growth.
        system.client.set(Keys().counter, 100_000)
        system.start_api()
        system.start_retry_worker()
        system.start_worker()
        system.wait_for_workers(1)
        samples, accepted, sent = work(system, load)
        wait_until(lambda: set(accepted) <= set(system.log().finished), "all are done", 120)
        log = system.log()
        judge(
            Verdict(
                f"13 {load.seconds / 60:.3g} min at {load.per_second}/s",
                soak_seed,
                submitted=sent,
                answered=len(accepted),
                finished=len(log.finished),
                lost=len(set(accepted) - set(log.finished)),
                ran_twice=len(log.ran_twice),
                done_twice=len(log.done_twice),
                suspected=system.suspected(),
                recovery_seconds=0,
            )
        )
        problems = compare(samples, note)
        if load.is_judged:
            assert not problems


def work(system: System, load: Load) -> tuple[list[Sample], list[int], int]:
    """Submits for as long as wanted, and looks at all processes now and then.

    Returns what it saw, the ids of the accepted jobs, and how many were sent.
    """
    samples: list[Sample] = []
    accepted: list[int] = []
    sent, began = 0, now()
    while (passed := now() - began) < load.seconds:
        wanted = min(250, int(passed * load.per_second) - sent)
        if wanted >= 10:
            jobs = [{"job_type": "soak", "payload": {"seconds": 0.01}}] * wanted
            # Without keys: those are remembered for a day, on purpose. What is refused, as on a
            # machine so busy that Redis answers late, is not sent again.
            _, answer = system.request("POST", "/api/jobs/batch", {"jobs": jobs})
            found = [result["query_id"] for result in answer.get("results", ())]
            accepted += [job_id for job_id in found if job_id]
            sent += wanted
        if passed >= len(samples) * load.seconds / load.samples:
            samples.append(look(system))
        time.sleep(0.05)
    return samples, accepted, sent


def look(system: System) -> Sample:
    info: Any = system.client.info("memory")
    found = Sample({"redis data": info["used_memory"]}, {})
    ours = pids_of(system.folder) - {os.getpid()}
    for pid in sorted({*ours, *(part.pid for part in system.parts)}):
        name = f"{command_line(pid).split('-m ')[-1].split(' ')[0]} {pid}"
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        found.memory[name] = pages * os.sysconf("SC_PAGE_SIZE")
        found.descriptors[name] = len(os.listdir(f"/proc/{pid}/fd"))
    return found


def compare(samples: list[Sample], note: Callable[[str], None]) -> list[str]:
    """The last quarter with the second one; the first is for warming up."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    assert second and last
    problems = []
    for name in sorted(set(second[0].memory) & set(last[-1].memory)):
        before, after = (
            statistics.median(sample.memory[name] for sample in part if name in sample.memory)
            for part in (second, last)
        )
        growth = after / before - 1
        line = f"13 {name}: {before / 1e6:.1f} MB, then {after / 1e6:.1f} ({growth:+.1%})"
        if growth > GROWTH_MAX:
            problems.append(line)
        if name in second[0].descriptors:
            open_before, open_after = (
                statistics.median(s.descriptors[name] for s in part if name in s.descriptors)
                for part in (second, last)
            )
            line += f", {open_before:g} files, then {open_after:g}"
            if open_after > open_before + DESCRIPTORS_MAX:
                problems.append(line)
        note(line)
    return problems
