from __future__ import annotations

from flask.testing import FlaskClient

from app.dashboard.counters import counters
from app.queue.counters import EVENTS
from app.queue.inspector import Minute
from app.queue.jobqueue import JobQueue


def test_every_event_that_is_counted_is_shown_once() -> None:
    minutes = [Minute(0.0, {"lost": 1}), Minute(60.0, {"lost": 2, "late": 1})]

    shown = counters(minutes, {"lost": 7})

    assert sorted(counter.event for counter in shown) == sorted(EVENTS)
    found = {counter.event: (counter.recent, counter.ever) for counter in shown}
    assert (found["lost"], found["late"], found["trimmed"]) == ((3, 7), (1, 0), (0, 0))


def test_the_page_of_charts_has_them(http: FlaskClient, queue: JobQueue) -> None:
    queue.submit("web_noop")
    queue.cancel(1)

    page = http.get("/dashboard/charts").text
    row = page[page.index('<tr data-event="cancelled">') :].partition("</tr>")[0]

    assert '<td class="num">1</td><td class="num">1</td>' in row
    for name in ("Told late", "Told too late", "Unconfirmed", "Trimmed"):
        assert f'<th scope="row">{name}</th>' in page
