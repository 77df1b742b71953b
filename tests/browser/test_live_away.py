"""What the page does while Redis or the web server is away."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.embedded import find_server_binary, is_ready, start_server
from app.queue.connection import connect
from app.queue.jobqueue import JobQueue
from tests.browser.conftest import Complaints, serving
from tests.conftest import RedisServer, running_server

TABLE = "/dashboard/partials/jobs-table"
STEP_MS = 250
COUNT_REQUESTS = """(() => {
    const real = window.fetch;
    window.requests = 0;
    window.fetch = (...of) => { window.requests += 1; return real(...of); };
})()"""


class Store:
    """A Redis server that can go away and come back with its data."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self._process = server.process

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)

    def start(self) -> None:
        directory = self.server.directory
        self._process = start_server(find_server_binary(), directory, directory / "redis.sock")
        deadline = time.monotonic() + 20
        while not is_ready(self.server.url):
            assert time.monotonic() < deadline, "the server did not answer within 20 s"
            time.sleep(0.01)


@pytest.fixture
def store() -> Iterator[Store]:
    with running_server(find_server_binary()) as server:
        store = Store(server)
        yield store
        store.stop()


@pytest.fixture
def away_site(store: Store, tmp_path: Path) -> Iterator[str]:
    """An address whose Redis can be stopped; one job is there.

    Named before `page` in a test, it outlives the page, which asks to its end.
    """
    client = connect(store.server.url, name="tests")
    JobQueue(client).submit("noop")
    client.close()
    with serving(store.server.url, tmp_path) as (url, _):
        yield url


def test_the_table_stays_and_comes_back_by_itself(
    away_site: str, page: Page, store: Store, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page.add_init_script("localStorage.setItem('mailroom.interval', '1')")
    page.goto(away_site + "/dashboard")

    store.stop()

    note = page.locator("#note")
    expect(note).to_contain_text(re.compile(r"Not updating: data from \d\d:\d\d:\d\d"))
    expect(page.locator("#j1")).to_be_visible()
    expect(page.locator("#live-word")).to_have_text("Away")
    store.start()
    expect(note).to_be_hidden()
    expect(page.locator("#live-word")).to_have_text("Live,")


@pytest.mark.parametrize("path", ["jobs/1", "workers", "operations"])
def test_each_live_page_stays_and_tells(
    away_site: str, page: Page, store: Store, complaints: Complaints, path: str
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page.add_init_script("localStorage.setItem('mailroom.interval', '1')")
    page.goto(f"{away_site}/dashboard/{path}")
    before = page.locator("h1").inner_text()

    store.stop()

    note = page.locator("#note")
    expect(note).to_contain_text("Not updating: data from")
    expect(page.locator("h1")).to_have_text(before)
    expect(note.get_by_role("button", name="Retry now")).to_be_visible()
    store.start()
    # The page may find that out by itself, and take the button away, before a person could click.
    page.locator("#note button").dispatch_event("click")
    expect(page.locator("#live-word")).to_have_text("Live,")


def test_the_page_asks_less_and_less_often(
    away_site: str, page: Page, store: Store, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page.add_init_script("localStorage.setItem('mailroom.interval', '1')")
    page.add_init_script(COUNT_REQUESTS)
    page.clock.install()
    page.goto(away_site + "/dashboard")

    store.stop()
    expect(page.locator("#note")).to_be_visible()
    page.clock.pause_at(datetime.fromtimestamp(page.evaluate("Date.now()") / 1000 + 1, UTC))

    # The first time, both parts may ask; then one asks for all, 2 s later, 4 s later, …
    _, second, third, fourth = (seconds_until_it_asks(page) for _ in range(4))
    assert second + 1 < third and third + 1 < fourth


def seconds_until_it_asks(page: Page) -> float:
    """By the page's clock, which goes on in steps."""
    before, steps = page.evaluate("requests"), 0
    with page.expect_response(lambda answer: answer.status == 503):
        while page.evaluate("requests") == before:
            page.clock.run_for(STEP_MS)
            steps += 1
            assert steps < 200, "it asks no more"
    return steps * STEP_MS / 1000


def test_retry_now_asks_at_once(
    away_site: str, page: Page, store: Store, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page.add_init_script("localStorage.setItem('mailroom.interval', '30')")
    page.goto(away_site + "/dashboard")
    store.stop()
    page.get_by_label("Update").select_option("every 30 s")
    page.evaluate("document.getElementById('counts').dispatchEvent(new CustomEvent('poll'))")
    note = page.locator("#note")
    expect(note).to_be_visible()

    store.start()
    note.get_by_role("button", name="Retry now").click()

    expect(note).to_be_hidden()


def test_a_page_opened_while_redis_is_away_loads_itself_when_it_is_back(
    away_site: str, page: Page, store: Store, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page.add_init_script("localStorage.setItem('mailroom.interval', '1')")
    store.stop()
    page.goto(away_site + "/dashboard?limit=50")
    expect(page.get_by_role("heading", name="Redis is away")).to_be_visible()
    expect(page.locator("#note")).to_be_hidden()

    store.start()

    expect(page.locator("#j1")).to_be_visible()
    assert page.url == away_site + "/dashboard?limit=50"


def test_a_web_server_that_is_away_is_told_alike(
    away_site: str, page: Page, complaints: Complaints
) -> None:
    complaints.expected += ["ERR_CONNECTION_REFUSED", "ERR_FAILED", "htmx:error: Failed to fetch"]
    page.add_init_script("localStorage.setItem('mailroom.interval', '1')")
    page.goto(away_site + "/dashboard")

    page.route("**/dashboard/partials/**", lambda route: route.abort("connectionrefused"))
    expect(page.locator("#note")).to_contain_text("Not updating")
    page.unroute("**/dashboard/partials/**")

    expect(page.locator("#note")).to_be_hidden()
