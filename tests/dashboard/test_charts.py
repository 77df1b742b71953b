from __future__ import annotations

import re

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.dashboard.chart_paths import HEIGHT, bar_width, line, stacked_bars
from app.dashboard.chart_series import steps, together
from app.dashboard.charts import _outlook
from app.dashboard.durations import duration, percent, size
from app.queue.inspector import Histogram, Minute
from app.queue.jobqueue import JobQueue
from tests.queue.virtual_time import Clock, virtual_source


def minute(number: int, **counts: int) -> Minute:
    return Minute(number * 60.0, counts)


@pytest.fixture
def clock(fake_client: redis.Redis) -> Clock:
    return Clock(fake_client)


@pytest.fixture
def app(config: Config, fake_client: redis.Redis, clock: Clock) -> Flask:
    return create_app(config, client=fake_client, source=virtual_source(fake_client))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.008, "8 ms"),
        (0.213, "0.21 s"),
        (0.9999, "1.0 s"),
        (9.96, "10 s"),
        (306, "5 min 6 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (3600, "1 h"),
    ],
)
def test_a_length_of_time_is_written_for_people(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_shares_are_written_for_people() -> None:
    assert [size(n) for n in (1, 812, 8192, 1_048_576)] == [
        "1 byte",
        "812 bytes",
        "8.0 KB",
        "1.0 MB",
    ]
    assert [percent(share) for share in (None, 0, 0.0312, 1)] == ["–", "0 %", "3.1 %", "100 %"]


def test_bars_stand_on_each_other_and_the_highest_fills_the_box() -> None:
    below, above, none = stacked_bars([[1, 3], [1, 1], [0, 0]])

    assert none == ""
    assert below.count("M") == above.count("M") == 2
    # The second column, 3 + 1, is the highest: it ends at the top.
    assert above.endswith("M450 31V4")
    assert below.endswith(f"M450 {HEIGHT}V31")


def test_what_happened_once_among_thousands_can_be_seen() -> None:
    _, rare = stacked_bars([[5000], [1]])

    found = re.fullmatch(r"M300 (\d+)V(\d+)", rare)
    assert found and int(found[1]) - int(found[2]) >= 2


def test_a_line_has_gaps_where_nothing_was_measured() -> None:
    path = line([1, 1, None, 2, None, None], highest=2)

    assert path == "M50 58l100 0M300 4h100"  # a single value is as wide as its step


def test_a_line_goes_from_point_to_point() -> None:
    assert line([0, 2, 1], highest=2) == "M100 112l200-108 200 54"


def test_a_day_of_bars_fills_the_width_without_touching() -> None:
    [path] = stacked_bars([[1] * 96])

    middles = [int(x) for x in re.findall(r"M(\d+)", path)]

    assert (middles[0], middles[-1]) == (3, 597)
    assert min(b - a for a, b in zip(middles, middles[1:], strict=False)) > bar_width(96)


def test_an_idle_hour_draws_nothing() -> None:
    assert stacked_bars([[0, 0], [0, 0]]) == ["", ""]
    assert line([None, None], highest=0) == ""


def test_minutes_are_put_together_into_steps_that_end_with_the_last() -> None:
    minutes = [minute(n, succeeded=1) for n in range(7)]

    found = steps(minutes, 3)

    assert [(step.at, step.minutes, step.succeeded) for step in found] == [
        (0.0, 1, 1),
        (60.0, 3, 3),
        (240.0, 3, 3),
    ]


def test_a_job_given_up_is_not_counted_as_waiting_for_its_retry_too() -> None:
    step = together([minute(0, succeeded=6, failed=4, permanently_failed=1, cancelled=2)])

    assert (step.failed, step.given_up, step.attempts, step.finished) == (3, 1, 10, 9)
    assert step.failure_share == 0.4


def test_poison_is_given_up_without_a_failed_attempt() -> None:
    step = together([minute(0, permanently_failed=2)])

    assert (step.failed, step.given_up) == (0, 2)


def test_waits_of_several_minutes_have_common_quantiles() -> None:
    short = Histogram.from_counters("wait", {"wait:10": "9"})
    long = Histogram.from_counters("wait", {"wait:1000": "1"})

    whole = together([Minute(0, wait=short), Minute(60, wait=long)]).wait

    assert whole.count == 10
    assert (whole.quantile(0.5) or 0) <= 0.01
    assert (whole.quantile(0.95) or 0) > 0.1


def test_a_shrinking_backlog_says_when_it_is_gone() -> None:
    shrinking = steps([minute(n, submitted=10, succeeded=30) for n in range(10)], 1)
    growing = steps([minute(n, submitted=30, succeeded=10) for n in range(10)], 1)

    assert _outlook(280, shrinking) == " · clears in 14 min"
    assert _outlook(280, growing) == ""


def test_the_charts_count_what_happened(http: FlaskClient, app: Flask, clock: Clock) -> None:
    queue: JobQueue = app.extensions["queue"]
    for number in range(10):
        queue.submit("web_noop")
        clock.advance(ms=40)
        [job] = queue.claim("w")
        clock.advance(ms=70)
        if number:
            queue.complete(job)
        else:
            queue.fail(job, "No", retry_in_ms=None)
    queue.submit("web_noop")
    clock.advance(seconds=9)

    page = http.get("/dashboard/charts").text

    for text in ("10 <small>in the last hour · 1 given up", "10.0 % <small>1 of 10 attempts"):
        assert text in page
    assert "11 <small>1 waiting, the oldest 9.0 s<" in page
    assert "Attempts by outcome: 9 succeeded, 1 given up." in page
    assert re.search(r'<td class="num">11</td><td class="num">9</td><td class="num">0</td>', page)


def test_the_day_has_steps_of_15_minutes(http: FlaskClient, app: Flask, clock: Clock) -> None:
    queue: JobQueue = app.extensions["queue"]
    for _ in range(3):
        queue.submit("web_noop")
        clock.advance(seconds=6 * 3600)

    page = http.get("/dashboard/charts?window=day").text

    assert "15 minutes from" in page
    assert page.count('<tr><th scope="row">') == 3


def test_an_idle_queue_has_charts_too(http: FlaskClient) -> None:
    page = http.get("/dashboard/charts").text

    assert "Nothing happened in the last hour" in page
    assert page.count("<figure") == 5


def test_the_page_of_jobs_has_the_charts_of_the_last_hour(http: FlaskClient, app: Flask) -> None:
    app.extensions["queue"].submit("web_noop")

    page = http.get("/dashboard").text

    assert page.count("<figure") == 5
    assert 'hx-get="/dashboard/partials/charts?window=hour&amp;full=0"' in page


def test_every_chart_has_a_name_a_description_and_the_table(http: FlaskClient) -> None:
    page = http.get("/dashboard/charts").text

    for name in ("throughput", "failures", "wait", "run", "submitted"):
        assert f'aria-describedby="{name}-about"' in page
        assert f'<desc id="{name}-about">' in page
    assert page.count('role="img" aria-label="') == 5
    assert "The charts as a table" in page
    assert " style=" not in page


def test_the_small_charts_lead_to_their_table(http: FlaskClient) -> None:
    page = http.get("/dashboard").text

    assert page.count('<h2><a href="/dashboard/charts#chart-') == 5
    assert 'href="/dashboard/charts#charts-table"' in page
    assert 'id="charts-table"' in http.get("/dashboard/charts").text


def test_charts_are_304_until_something_happens(
    http: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_750_000_000.0)
    url = "/dashboard/partials/charts"
    tag = http.get(url).headers["HX-PTag"]

    unchanged = http.get(url, headers={"HX-PTag": tag})
    app.extensions["queue"].submit("web_noop")
    changed = http.get(url, headers={"HX-PTag": tag})

    assert (unchanged.status_code, changed.status_code) == (304, 200)
    assert http.get(f"{url}?window=day", headers={"HX-PTag": tag}).status_code == 200


@pytest.mark.parametrize("query", ["window=week", "full=yes"])
def test_an_unusable_address_of_charts_is_400(http: FlaskClient, query: str) -> None:
    assert http.get(f"/dashboard/partials/charts?{query}").status_code == 400
