"""What each minute counts, and how long jobs waited and ran."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import redis

from app.queue.counters import EVENTS
from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from app.queue.scripts import script_source
from app.queue.series import BOUNDS_MS, Histogram
from app.queue.submission import NewJob
from tests.queue.steps import claim_one
from tests.queue.virtual_time import STARTED_MS, Clock


@pytest.fixture
def inspector(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Inspector:
    return Inspector(store, source=source)


def test_each_minute_counts_for_itself(queue: JobQueue, clock: Clock, inspector: Inspector) -> None:
    queue.submit_many([NewJob("noop"), NewJob("send_email")])
    clock.advance(seconds=120)
    queue.complete(claim_one(queue))

    first, idle, last = inspector.series(3)

    assert first.at == STARTED_MS // 60_000 * 60
    assert (idle.at, last.at) == (first.at + 60, first.at + 120)
    assert first.counts == dict.fromkeys(EVENTS, 0) | {"submitted": 2}
    assert idle.counts == dict.fromkeys(EVENTS, 0)
    assert last.counts == dict.fromkeys(EVENTS, 0) | {"succeeded": 1}
    assert (first.wait.count, idle.wait.count, last.wait.count) == (0, 0, 1)


def test_waiting_is_from_ready_to_picked_and_running_from_picked_to_settled(
    queue: JobQueue, clock: Clock, inspector: Inspector
) -> None:
    queue.submit("noop")
    clock.advance(ms=1_500)
    job = claim_one(queue)
    clock.advance(ms=30)
    queue.fail(job, "no", retry_in_ms=1_000)
    clock.advance(ms=1_007)
    queue.promote()
    queue.complete(claim_one(queue))

    [minute] = inspector.series(1)

    assert by_bound(minute.wait) == {2_000: 1, 10: 1}
    assert by_bound(minute.run) == {50: 1, 1: 1}
    assert minute.wait.sum_seconds == pytest.approx(1.507)
    assert minute.run.sum_seconds == pytest.approx(0.03)


def test_a_released_job_has_not_run(queue: JobQueue, clock: Clock, inspector: Inspector) -> None:
    queue.submit("noop")
    queue.release(claim_one(queue))

    assert inspector.series(1)[0].run.count == 0


def test_a_late_completion_has_run(queue: JobQueue, clock: Clock, inspector: Inspector) -> None:
    queue.reap()
    queue.submit("noop")
    job = claim_one(queue)
    for _ in range(8):
        clock.advance(seconds=10)
        queue.reap()

    assert queue.complete(job) == "late"

    assert by_bound(inspector.series(1)[0].run) == {100_000: 1}


def test_a_clock_that_went_back_makes_no_negative_time(
    queue: JobQueue, clock: Clock, inspector: Inspector
) -> None:
    queue.submit("noop")
    clock.advance(ms=-500)
    queue.complete(claim_one(queue))

    [minute] = inspector.series(1)
    assert by_bound(minute.wait) == {1: 1}
    assert minute.wait.sum_seconds == 0


def test_a_job_that_waited_for_days_counts_above_the_last_bound(
    queue: JobQueue, clock: Clock, inspector: Inspector
) -> None:
    queue.submit("noop")
    clock.advance(seconds=3 * 86_400)
    claim_one(queue)

    [minute] = inspector.series(1)
    assert minute.wait.counts[-1] == 1
    assert minute.wait.quantile(0.5) == BOUNDS_MS[-1] / 1000


def test_a_series_goes_back_a_day_at_most(inspector: Inspector) -> None:
    assert len(inspector.series(10_000)) == 1_440
    assert len(inspector.series(0)) == 1


def test_a_quantile_lies_between_the_bounds() -> None:
    histogram = Histogram.from_counters("wait", {"wait:10": "10", "wait:20": "10", "wait:sum": "9"})

    assert histogram.quantile(0) == 0.005
    assert histogram.quantile(0.25) == pytest.approx(0.0075)
    assert histogram.quantile(0.5) == 0.01
    assert histogram.quantile(0.75) == pytest.approx(0.015)
    assert histogram.quantile(1) == 0.02


def test_nothing_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().count == 0


def test_histograms_add_up() -> None:
    one = Histogram.from_counters("run", {"run:1": "1", "run:sum": "500"})
    other = Histogram.from_counters("run", {"run:1": "2", "run:inf": "1", "run:sum": "700"})

    total = one + other

    assert (total.count, total.counts[0], total.counts[-1]) == (4, 3, 1)
    assert total.sum_seconds == pytest.approx(1.2)


def test_lua_and_python_have_the_same_bounds() -> None:
    [bounds] = re.findall(r"BOUNDS_MS = \{([^}]*)\}", script_source("turn"))

    assert tuple(int(bound) for bound in bounds.split(",") if bound.strip()) == BOUNDS_MS


def by_bound(histogram: Histogram) -> dict[int, int]:
    pairs = zip(BOUNDS_MS, histogram.counts, strict=False)
    return {bound: count for bound, count in pairs if count}
