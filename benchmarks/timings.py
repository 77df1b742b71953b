"""What `benchmarks.dashboard` measured, and how that stands to the goals."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.dashboard.query import address
from app.queue.inspector import SORTS, JobQuery

GOAL_MS, GOAL_COMMAND_MS, GOAL_RATIO = 10.0, 3.0, 1.5


@dataclass(frozen=True)
class Timing:
    """The best of all repeats in each figure; `disturbed_ms` is the worst of the longest command,
    `command` the longest one in that repeat where it was shortest."""

    query: JobQuery
    partial_ms: float
    page_ms: float
    command_ms: float
    command: str
    work_ms: float
    disturbed_ms: float


def best_of(repeats: tuple[Timing, ...]) -> Timing:
    shortest = min(repeats, key=lambda timing: timing.command_ms)
    return replace(
        shortest,
        partial_ms=min(timing.partial_ms for timing in repeats),
        page_ms=min(timing.page_ms for timing in repeats),
        work_ms=min(timing.work_ms for timing in repeats),
        disturbed_ms=max(timing.command_ms for timing in repeats),
    )


def report(timings: list[Timing]) -> None:
    print(f"{'':<16}{'pages':>7}{'partial p50':>13}{'p95':>7}{'max':>8}", end="")
    print(f"{'page p50':>11}{'p95':>7}{'max':>8}{'command p95':>13}{'max':>7}", end="")
    print(f"{'work p95':>10}{'max':>7}  (ms)")
    searched = [timing for timing in timings if is_search(timing)]
    plain = [timing for timing in timings if not is_search(timing)]
    for sort in SORTS:
        line(sort, (timing for timing in plain if timing.query.sort == sort))
    line("filters", plain)
    line("tags, searches", searched)
    line("all", timings)
    for name, chosen in (("filters", plain), ("tags, searches", searched)):
        print(f"longest commands, {name}:")
        for timing in sorted(chosen, key=lambda t: -t.command_ms)[:3]:
            print(f"  {timing.command_ms:.2f} ms, {timing.command}: {described(timing.query)}")
    for name, chosen in (("filters", plain), ("tags, searches", searched), ("all", timings)):
        if chosen:
            p95, work = (
                quantile([getattr(timing, field) for timing in chosen], 0.95)
                for field in ("partial_ms", "work_ms")
            )
            print(
                f"p95 of the partial / goal of {GOAL_MS:.0f} ms, {name}: {p95 / GOAL_MS:.2f}; "
                f"of its work: {work / GOAL_MS:.2f}"
            )
    longest = max(timing.command_ms for timing in timings)
    print(f"longest command / goal of {GOAL_COMMAND_MS:.0f} ms: {longest / GOAL_COMMAND_MS:.2f}")


def report_disturbance(timings: list[Timing], same_work: list[float]) -> None:
    """Whether a long command worked, or stood still."""
    longer = [timing for timing in timings if timing.disturbed_ms > GOAL_COMMAND_MS]
    again = [timing for timing in longer if timing.command_ms > GOAL_COMMAND_MS]
    print(
        f"longer than {GOAL_COMMAND_MS:.0f} ms in some repeat: {len(longer)} pages, up to "
        f"{max(timing.disturbed_ms for timing in timings):.1f} ms; in every repeat: {len(again)}"
    )
    print(
        f"a script of always the same work: best {min(same_work):.2f}, p50 "
        f"{statistics.median(same_work):.2f}, p95 {quantile(same_work, 0.95):.2f}, "
        f"max {max(same_work):.1f} ms; longer than {GOAL_COMMAND_MS:.0f} ms "
        f"{sum(ms > GOAL_COMMAND_MS for ms in same_work)} times of {len(same_work)}",
        flush=True,
    )


def is_search(timing: Timing) -> bool:
    return bool(timing.query.tag or timing.query.q)


def line(name: str, timings: Iterable[Timing]) -> None:
    chosen = list(timings)
    if not chosen:
        return
    figures = [f"{name:<16}{len(chosen):>7}"]
    for field, first_width in (("partial_ms", 13), ("page_ms", 11)):
        values = [getattr(timing, field) for timing in chosen]
        figures.append(f"{statistics.median(values):>{first_width}.2f}")
        figures.append(f"{quantile(values, 0.95):>7.2f}{max(values):>8.2f}")
    for field, first_width in (("command_ms", 13), ("work_ms", 10)):
        values = [getattr(timing, field) for timing in chosen]
        figures.append(f"{quantile(values, 0.95):>{first_width}.2f}{max(values):>7.2f}")
    print("".join(figures), flush=True)


def report_ratio(small: list[Timing], large: list[Timing]) -> None:
    for name, wanted in (("filters", False), ("tags, searches", True)):
        for share in (0.5, 0.95):
            ratios = []
            for field in ("partial_ms", "work_ms"):
                low, high = (
                    quantile([getattr(t, field) for t in timings if is_search(t) == wanted], share)
                    for timings in (small, large)
                )
                ratios.append(high / low)
            print(
                f"p{share * 100:.0f} of the largest / of the smallest, {name}: "
                f"{ratios[0]:.2f}, of the work {ratios[1]:.2f} (goal {GOAL_RATIO})"
            )


def described(query: JobQuery) -> str:
    filters = address(query, page=query.page)
    return ", ".join(f"{name} {value}" for name, value in filters.items()) or "the first page"


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
