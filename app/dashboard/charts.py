"""The charts: throughput, failures, wait, run time and arrivals of the last hour or day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import Response, current_app, render_template, request

from app.dashboard import clock
from app.dashboard.chart_paths import HEIGHT, WIDTH, bar_width, line, maximum, stacked_bars
from app.dashboard.chart_series import Step, steps, together
from app.dashboard.counters import counters
from app.dashboard.durations import duration, percent
from app.dashboard.formats import number
from app.dashboard.polls import unless_seen
from app.dashboard.query import BadAddress
from app.dashboard.views import bp
from app.queue.inspector import Histogram, Inspector
from app.queue.job import Status

OUTLOOK_AFTER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time. Its charts have steps of `step_minutes`, small ones of
    `small_step_minutes`: they come with every page of jobs, whose first load must stay small."""

    name: str
    words: str
    minutes: int
    step_minutes: int
    small_step_minutes: int
    tag_seconds: int  # a new step is seen this late at most


WINDOWS = {
    "hour": Window("hour", "last hour", 60, 1, 2, 10),
    "day": Window("day", "last day", 1440, 15, 30, 60),
}


@dataclass(frozen=True, slots=True)
class Chart:
    """`paths` are pairs of a CSS class and SVG path data; `legend` of a class and its meaning.

    `bar_width` is that of the bars, in the units of the paths.
    """

    name: str
    heading: str
    value: str
    note: str
    top: str
    description: str
    paths: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str], ...]
    bar_width: int = 0


@bp.get("/dashboard/charts")
def charts() -> str:
    return render_template("dashboard/charts.html", shown=charts_page(_window(), in_full=True))


@bp.get("/dashboard/partials/charts")
def charts_partial() -> Response:
    window, in_full = _window(), _in_full()
    return unless_seen(
        _tag(window),
        lambda: render_template(
            "dashboard/_charts.html", shown=charts_page(window, in_full=in_full)
        ).strip(),
    )


@bp.app_template_global()
def charts_page(window: Window = WINDOWS["hour"], *, in_full: bool = False) -> dict[str, Any]:
    """What the charts show, wherever they stand. `in_full` has a table with a row for each step."""
    inspector: Inspector = current_app.extensions["inspector"]
    tag = _tag(window)
    minutes = inspector.series(window.minutes)
    if not in_full:
        window = replace(window, step_minutes=window.small_step_minutes)
    found, stats = steps(minutes, window.step_minutes), inspector.stats()
    return {
        "charts": _charts(found, together(minutes), stats, window),
        "counters": counters(minutes, stats["totals"]) if in_full else [],
        "chart_rows": [row for row in reversed(found) if in_full and not row.is_empty],
        "window": window,
        "windows": WINDOWS.values(),
        "in_full": in_full,
        "box": f"0 0 {WIDTH} {HEIGHT}",
        "charts_tag": tag,
        "now": clock.now(),
    }


def _charts(
    found: list[Step], whole: Step, stats: dict[str, Any], window: Window
) -> tuple[Chart, ...]:
    return (
        _throughput(found, whole, window),
        _failures(found, whole, window),
        _latency("wait", "Wait before start", [s.wait for s in found], whole.wait, window),
        _latency("run", "Run time", [s.run for s in found], whole.run, window),
        _submitted(found, whole, stats, window),
    )


def _throughput(found: list[Step], whole: Step, window: Window) -> Chart:
    layers = {
        "succeeded": [step.succeeded for step in found],
        "failed": [step.failed for step in found],
        "given up": [step.given_up for step in found],
        "cancelled": [step.cancelled for step in found],
    }
    classes = ("bars-success", "bars-failed", "bars-dead", "bars-quiet")
    sums = {name: sum(values) for name, values in layers.items()}
    said = ", ".join(f"{number(count)} {name}" for name, count in sums.items() if count)
    return Chart(
        "throughput",
        "Finished",
        number(whole.finished),
        f"in the {window.words}" + (f" · {number(whole.given_up)} given up" * bool(whole.given_up)),
        _top(maximum(map(sum, zip(*layers.values(), strict=True))), window),
        f"Attempts by outcome: {said or 'none'}.",
        tuple(zip(classes, stacked_bars(list(layers.values())), strict=True)),
        tuple(
            (css, "failed, to be retried" if name == "failed" else name)
            for css, name in zip(classes, layers, strict=True)
        ),
        bar_width(len(found)),
    )


def _failures(found: list[Step], whole: Step, window: Window) -> Chart:
    shares = [step.failure_share for step in found]
    highest = maximum(shares)
    failed = whole.failed + whole.given_up
    return Chart(
        "failures",
        "Failed attempts",
        percent(whole.failure_share),
        f"{number(failed)} of {number(whole.attempts)} attempts",
        f"peak {percent(highest)}" if highest else "",
        f"Share of failed attempts: {percent(whole.failure_share)}.",
        (("line-failed", line(shares, highest)),),
        (("line-failed", "share of attempts that failed"),),
    )


def _latency(
    name: str, heading: str, found: list[Histogram], whole: Histogram, window: Window
) -> Chart:
    medians = [histogram.quantile(0.5) for histogram in found]
    p95s = [histogram.quantile(0.95) for histogram in found]
    highest = maximum(medians, p95s)
    median, p95 = whole.quantile(0.5), whole.quantile(0.95)
    return Chart(
        name,
        heading,
        duration(median),
        "none measured" if p95 is None else f"median · 95 % under {duration(p95)}",
        f"peak {duration(highest)}" if highest else "",
        f"{heading}: median {duration(median)}, 95th percentile {duration(p95)}.",
        (("line-second", line(p95s, highest)), ("line-first", line(medians, highest))),
        (("line-first", "median"), ("line-second", "95th percentile")),
    )


def _submitted(found: list[Step], whole: Step, stats: dict[str, Any], window: Window) -> Chart:
    submitted = [step.submitted / step.minutes for step in found]
    finished = [step.finished / step.minutes for step in found]
    highest = maximum(submitted, finished)
    paths = (("line-second", line(finished, highest)), ("line-first", line(submitted, highest)))
    pending, oldest = stats["counts"][Status.PENDING], stats["oldest_pending_seconds"]
    return Chart(
        "submitted",
        "Submitted",
        number(whole.submitted),
        _waiting(pending, oldest, found),
        f"peak {highest:,.0f}/min" if highest >= 1 else "",
        f"Submitted and finished jobs a minute. {number(pending)} jobs are pending.",
        paths if highest else (),
        (("line-first", "submitted a minute"), ("line-second", "finished a minute")),
    )


def _waiting(pending: int, oldest_seconds: float | None, found: list[Step]) -> str:
    if not pending or oldest_seconds is None:
        return "none is waiting"
    text = f"{number(pending)} waiting, the oldest {duration(oldest_seconds)}"
    # A queue that is empty in a moment needs no outlook.
    return text + _outlook(pending, found) if oldest_seconds > OUTLOOK_AFTER_SECONDS else text


def _outlook(pending: int, found: list[Step]) -> str:
    """When all are done, if the last steps are any sign."""
    recent = found[-6:-1]  # the last one is not over yet
    minutes = sum(step.minutes for step in recent)
    shrinks = sum(step.finished - step.submitted for step in recent)
    if not minutes or shrinks <= 0:
        return ""
    return f" · clears in {duration(max(60.0, pending / shrinks * minutes * 60))}"


def _top(highest: float, window: Window) -> str:
    unit = "/min" if window.step_minutes == 1 else f" in {window.step_minutes} min"
    return f"peak {number(int(highest))}{unit}" if highest else ""


def _tag(window: Window) -> str:
    inspector: Inspector = current_app.extensions["inspector"]
    period = int(clock.now() // window.tag_seconds)
    # The steps of a day are long: its charts need not follow each change.
    revision = inspector.revision() if window.step_minutes == 1 else "-"
    return f"{window.name}.{revision}.{period}"


def _window() -> Window:
    """Raises BadAddress."""
    name = request.args.get("window") or "hour"
    if name not in WINDOWS:
        raise BadAddress([f"window: must be one of {', '.join(WINDOWS)}."])
    return WINDOWS[name]


def _in_full() -> bool:
    """Raises BadAddress."""
    value = request.args.get("full") or "0"
    if value not in ("0", "1"):
        raise BadAddress(["full: must be one of 0, 1."])
    return value == "1"
