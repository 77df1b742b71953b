"""The pages that act: accessible in both themes, and readable on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from app.queue.inspector import JobQuery
from app.queue.operations import Operations
from app.queue.submission import NewJob
from tests.browser.axe import THEMES, Theme, violations
from tests.browser.conftest import Complaints, Site

LONG = "A very long title of a mail that goes on and on " * 4

HEADINGS = {
    "confirm selected": "Cancel 2 selected jobs?",
    "confirm all": "Delete all 30 jobs that match?",
    "done": "Jobs",
    "running": "Cancel jobs that match",
    "finished": "Cancel jobs that match",
    "operations": "Operations",
    "no operations": "Operations",
    "refused": "Nothing was done",
    "no such operation": "No such operation",
}
PLACES = list(HEADINGS)


def visit(page: Page, site: Site, place: str) -> None:
    """Opens the page, on a queue that has what it shows."""
    operations: Operations = site.app.extensions["operations"]
    jobs = [NewJob("noop", title=LONG, people=("ada@example.com",), tags=("news",))] * 30
    site.queue.submit_many(jobs)
    if place in ("running", "finished", "operations"):
        operations.start("cancel", JobQuery(tag="news"), "dashboard 127.0.0.1")
        site.queue.operate(limit=10)
        while place == "finished" and site.queue.operate():
            pass
    path = {
        "running": "/dashboard/operations/1",
        "finished": "/dashboard/operations/1",
        "operations": "/dashboard/operations",
        "no operations": "/dashboard/operations",
        "no such operation": "/dashboard/operations/7",
        "confirm all": "/dashboard?tag=news",
    }.get(place, "/dashboard")
    page.goto(site.url + path)
    if place == "refused":
        page.context.clear_cookies()
    if place in ("confirm selected", "done", "refused"):
        page.locator("[name=ids]").first.check()
        page.locator("[name=ids]").nth(1).check()
        page.locator("[name=selected][value=cancel]").click()
    if place == "confirm all":
        page.locator("[name=all][value=delete]").click()
    if place == "done":
        page.locator(".confirm .primary").click()
        expect(page.locator(".flash")).to_be_visible()
    expect(page.locator("h1")).to_have_text(HEADINGS[place])
    page.wait_for_load_state()  # its style sheets as well


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing(
    page: Page, site: Site, complaints: Complaints, theme: Theme, place: str
) -> None:
    complaints.expected.append("status of 40[04]")
    page.emulate_media(color_scheme=theme)
    visit(page, site, place)

    assert violations(page) == []


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_wider_than_a_phone(
    page: Page, site: Site, complaints: Complaints, place: str
) -> None:
    complaints.expected.append("status of 40[04]")
    page.set_viewport_size({"width": 360, "height": 740})
    visit(page, site, place)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
