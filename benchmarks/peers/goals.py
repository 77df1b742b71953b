"""What was to be reached, each goal held against the figures of the same run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers import drain, durations, growth, memory, submit, wait
from benchmarks.peers.results import Results, Row, shown

US = "Mailroom"
BULLMQ = ("BullMQ",)
PYTHON = ("Dramatiq", "Huey", "taskiq", "Celery", "RQ")
LEAST, MOST = "≥", "≤"


@dataclass(frozen=True)
class Goal:
    """`to`: whose figure ours is divided by, the best of several; none: ours alone counts."""

    words: str
    part: str
    case: str
    bound: float
    sense: str = LEAST
    to: tuple[str, ...] = ()
    who: str = US

    @property
    def wanted(self) -> str:
        unit = " ×" if self.to else ""
        return f"{self.sense} {self.bound:,g}{unit}"


@dataclass(frozen=True)
class Held:
    """A goal and what was reached."""

    goal: Goal
    reached: float | None  # None: not measured

    @property
    def is_met(self) -> bool:
        if self.reached is None:
            return False
        if self.goal.sense == LEAST:
            return self.reached >= self.goal.bound
        return self.reached <= self.goal.bound


def _others(index: int) -> str:
    return f"{growth.STORES[index]:,} others"


GOALS = (
    Goal("drain, to BullMQ", drain.PART, drain.CASES[1], 1.5, to=BULLMQ),
    Goal("drain, to the best Python peer", drain.PART, drain.CASES[1], 4, to=PYTHON),
    Goal("drain, to a bare loop", drain.PART, drain.CASES[1], 0.75, to=(drain.LIMIT,)),
    Goal("drain by two, to BullMQ", drain.PART, drain.CASES[2], 1.5, to=BULLMQ),
    Goal("drain by two, to the best Python peer", drain.PART, drain.CASES[2], 4, to=PYTHON),
    Goal("drain by two, to two bare loops", drain.PART, drain.CASES[2], 0.75, to=(drain.LIMIT,)),
    Goal("submit_many, jobs/s", submit.PART, submit.MANY, 60_000),
    Goal("submit_many, to BullMQ's addBulk", submit.PART, submit.MANY, 2, to=BULLMQ),
    Goal("batches over HTTP, jobs/s", submit.PART, submit.BATCH, 15_000),
    Goal("one POST, to a bare view", submit.PART, submit.ONE, 0.8, to=(submit.LIMIT,)),
    Goal("submission to start, p99, ms", wait.PART, wait.P99, 2, MOST),
    Goal("commands of an idle worker a second", wait.PART, wait.COMMANDS, 0.5, MOST),
    Goal("CPU of an idle worker, %", wait.PART, wait.CPU, 0.3, MOST),
    Goal("memory of an idle worker, MB", wait.PART, wait.RSS, 45, MOST),
    Goal("memory of an API process, MB", memory.PART, memory.API, 60, MOST),
    Goal("a pending job, bytes", memory.PART, memory.PENDING, 650, MOST),
    Goal("a finished job, bytes", memory.PART, memory.FINISHED, 800, MOST),
    *(
        Goal(f"jobs of {ms} ms, of the ideal", durations.PART, f"jobs of {ms} ms", 0.95)
        for ms in durations.MILLISECONDS
    ),
    *(
        Goal(
            f"{words} with {_others(index)}, to 1,000",
            *(growth.PART, case, bound, sense),
            to=(_others(0),),
            who=_others(index),
        )
        for case, words, bound, sense in (
            (growth.DRAIN, "drain", round(1 / 1.3, 2), LEAST),
            *((case, case, 1.3, MOST) for case in growth.PAGES_OF),
        )
        for index in (1, 2)
    ),
)


def held(results: Results) -> list[Held]:
    return [Held(goal, _reached(results, goal)) for goal in GOALS]


def report(results: Results) -> None:
    for one in held(results):
        if one.reached is not None:
            verdict = "met" if one.is_met else "MISSED"
            print(f"{one.goal.words:<46}{shown(one.reached):>10}  {one.goal.wanted:<12}{verdict}")


def _reached(results: Results, goal: Goal) -> float | None:
    ours = results.find(goal.part, goal.case, goal.who)
    if ours is None or not goal.to:
        return ours.median if ours else None
    others = [row for who in goal.to if (row := results.find(goal.part, goal.case, who))]
    return ours.median / _best(others) if others else None


def _best(rows: Iterable[Row]) -> float:
    """Ratios are of rates, or to one row alone: more is better."""
    return max(row.median for row in rows)
