"""When a page asks for what is new, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, expect

from app.queue.inspector import JobQuery
from app.queue.operations import Operations
from app.queue.sharded_jobqueue import ShardedJobQueue
from tests.browser.conftest import Site
from tests.browser.live import COUNTS, TABLE, answered, live, polls, submit

__all__ = ["live", "polls"]

# The test's own, and what a thread says that needs a connection for the first time.
OF_CONNECTIONS = {"hello", "ping", "client|setname", "client|setinfo"}
BESIDES = {"info", "config|resetstat", *OF_CONNECTIONS}


def test_a_poll_that_finds_nothing_new_is_304_and_changes_nothing(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site)
    page = live()
    page.evaluate("document.getElementById('jobs-table').dataset.mark = 'unswapped'")

    answered(page, status=304)
    answered(page, status=304)

    assert page.locator("#jobs-table").get_attribute("data-mark") == "unswapped"


def test_polls_that_find_nothing_new_ask_redis_one_thing_each(
    live: Callable[..., Page], page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What grows old without a change of the queue is looked at again now and then, and the server
    # is asked for its time once a minute; not here.
    now = site.inspector.now()
    monkeypatch.setattr("app.dashboard.clock.now", lambda: now)
    # Nor is it asked once a second whether shards were added.
    monkeypatch.setattr(ShardedJobQueue, "follow", lambda _queue: None)
    submit(site)
    asked: list[str] = []
    answers: list[int] = []
    # From the first on: else one that is under way would count as another's answer.
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: answers.append(answer.status))
    live()

    def ask_for_each_part() -> None:
        with page.expect_response(lambda answer: "/partials/charts" in answer.url):
            page.get_by_label("Update").select_option("every 1 s")
        answered(page, TABLE)
        answered(page, COUNTS)
        page.get_by_label("Update").select_option("off")
        while len(answers) < len(asked):
            page.wait_for_event("response")

    ask_for_each_part()
    asked.clear()
    answers.clear()
    site.client.config_resetstat()
    ask_for_each_part()

    calls = {
        name.removeprefix("cmdstat_"): found["calls"]
        for name, found in site.client.info("commandstats").items()
        if name.removeprefix("cmdstat_") not in BESIDES
    }
    assert set(answers) == {304}
    assert calls == {"hget": len(answers)}


def test_times_grow_older_without_a_swap(live: Callable[..., Page], site: Site) -> None:
    submit(site)
    page = live()
    page.evaluate("document.getElementById('jobs-table').dataset.mark = 'unswapped'")
    age = page.locator("#j1 time")
    before = age.inner_text()

    expect(age).not_to_have_text(before)

    assert re.fullmatch(r"\d+ s ago", age.inner_text())
    assert page.locator("#jobs-table").get_attribute("data-mark") == "unswapped"


def test_a_browser_whose_clock_is_wrong_shows_the_same_ages(
    live: Callable[..., Page], page: Page, site: Site
) -> None:
    submit(site)
    page.add_init_script(
        "const now = Date.now; Date.now = () => now() + 86_400_000; window.shifted = true"
    )
    live()
    answered(page)

    expect(page.locator("#j1 time")).to_have_text(re.compile(r"^\d+ s ago$"))
    assert page.evaluate("window.shifted")


def test_a_hidden_tab_does_not_ask_and_asks_at_once_when_it_is_back(
    live: Callable[..., Page], site: Site, polls: list[Request]
) -> None:
    submit(site)
    page = live()
    answered(page)
    hide = "Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {}}});"
    page.evaluate(hide.format("true"))
    polls.clear()

    page.wait_for_timeout(1_500)  # several intervals, in which nothing may happen

    assert polls == []
    # By a clock that stands in the past no part is due: who asks now, asks because it is back.
    page.clock.set_fixed_time("2020-01-01")
    with page.expect_request(lambda request: TABLE in request.url):
        page.evaluate(
            hide.format("false") + "document.dispatchEvent(new Event('visibilitychange'))"
        )


@pytest.mark.parametrize("path", ["/jobs/1", "/operations", "/operations/1"])
def test_no_other_page_asks_in_a_hidden_tab(
    live: Callable[..., Page], site: Site, path: str
) -> None:
    submit(site)
    operations: Operations = site.app.extensions["operations"]
    operations.start("cancel", JobQuery(), "tests")
    page = live(f"/dashboard{path}")
    answered(page, "/partials/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    asked.clear()

    page.wait_for_timeout(1_500)  # several intervals, in which nothing may happen

    assert asked == []


def test_the_interval_is_the_persons_choice_and_is_remembered(
    page: Page, site: Site, polls: list[Request]
) -> None:
    submit(site)
    page.goto(site.url + "/dashboard")
    page.get_by_label("Update").select_option("off")
    page.reload()
    expect(page.get_by_label("Update")).to_have_value("0")
    polls.clear()

    submit(site)
    page.wait_for_timeout(2_500)  # more than the usual interval

    assert polls == []
    page.get_by_label("Update").select_option("every 1 s")
    expect(page.locator("#j2")).to_be_visible()
