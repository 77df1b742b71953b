"""Filters, sorting and paging of the table of jobs, with and without JavaScript."""

from __future__ import annotations

import gzip
import re

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Complaints, OpenPage, Site
from tests.browser.jobs import fill, worker_alive


@pytest.fixture
def filled(page: Page, site: Site) -> Page:
    fill(site.client, 120)
    worker_alive(site.client)
    page.goto(site.url + "/dashboard")
    return page


def ids(page: Page) -> list[int]:
    return [int(text) for text in page.locator("#jobs-table tbody th").all_inner_texts()]


def test_a_tab_filters_in_place_pushes_its_address_and_back_works(filled: Page, site: Site) -> None:
    filled.evaluate("window.same = true")

    tabs = filled.get_by_role("navigation", name="Jobs by status")
    tabs.get_by_role("link", name="Failed", exact=False).first.click()

    expect(filled).to_have_url(re.compile(r"\?status=failed$"))
    statuses = filled.locator("#jobs-table tbody .status")
    assert set(statuses.all_inner_texts()) == {"Failed"}
    assert filled.evaluate("window.same")  # no page was loaded
    filled.go_back()
    expect(filled).to_have_url(site.url + "/dashboard")
    expect(filled.locator("#j120")).to_be_visible()
    filled.go_forward()
    expect(filled).to_have_url(re.compile(r"\?status=failed$"))
    expect(statuses.first).to_have_text("Failed")


def test_a_heading_sorts_turns_round_and_keeps_the_focus(filled: Page) -> None:
    heading = filled.get_by_role("columnheader", name="Retries")

    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    first = filled.locator("#jobs-table tbody tr").first.locator("td").nth(8)
    expect(first).to_have_text("0")
    heading.get_by_role("link").click()

    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(first).to_have_text("10")
    assert "Retries" in str(filled.evaluate("document.activeElement.textContent"))


def test_filters_combine_and_the_address_has_no_empty_fields(filled: Page) -> None:
    filled.get_by_label("Priority", exact=True).select_option("High")
    expect(filled).to_have_url(re.compile(r"/dashboard\?priority=high$"))
    filled.get_by_label("Job type", exact=True).select_option("noop")
    expect(filled).to_have_url(re.compile(r"/dashboard\?job_type=noop&priority=high$"))

    rows = filled.locator("#jobs-table tbody tr")

    expect(filled.get_by_role("link", name=f"All {rows.count()}", exact=True)).to_be_visible()
    assert set(rows.locator("td:nth-child(3)").all_inner_texts()) == {"noop"}
    filled.get_by_role("link", name="Clear").click()
    expect(filled.get_by_role("link", name="All 120", exact=True)).to_be_visible()


def test_a_search_that_finds_nothing_offers_all_jobs(filled: Page) -> None:
    filled.get_by_role("searchbox").fill("999999")
    filled.get_by_role("searchbox").press("Enter")
    expect(filled.get_by_role("heading", name="Nothing matches")).to_be_visible()

    filled.get_by_role("link", name="Show all jobs").click()

    expect(filled.locator("#j120")).to_be_visible()
    expect(filled.get_by_role("searchbox")).to_have_value("")


def test_pages_are_turned_jumped_to_and_resized(filled: Page) -> None:
    filled.get_by_role("link", name="Next").click()
    expect(filled.locator("#j95")).to_be_visible()
    assert ids(filled) == list(range(95, 70, -1))

    filled.get_by_label("Page", exact=True).fill("5")
    filled.get_by_role("button", name="Go").click()
    expect(filled.locator("#j1")).to_be_visible()
    assert ids(filled) == list(range(20, 0, -1))
    assert filled.get_by_text("101–120 of 120 jobs").is_visible()

    filled.get_by_role("link", name="50", exact=True).click()
    expect(filled).to_have_url(re.compile(r"\?limit=50$"))
    expect(filled.locator("#jobs-table tbody tr")).to_have_count(50)


def test_an_address_that_cannot_be_used_is_shown_as_such(
    filled: Page, site: Site, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 400")
    filled.get_by_label("Page", exact=True).evaluate("field => field.removeAttribute('max')")
    filled.get_by_label("Page", exact=True).fill("99999999999")

    filled.get_by_role("button", name="Go").click()

    expect(filled.get_by_role("heading", name="This address can't be used")).to_be_visible()


@pytest.mark.parametrize("width", [360, 800, 1100, 1600])
def test_no_column_is_lost_on_any_width(filled: Page, width: int) -> None:
    filled.set_viewport_size({"width": width, "height": 800})
    row = filled.locator("#jobs-table tbody tr:has(td:nth-child(11):not(:empty))").first
    row.locator("summary").click()

    shown = row.inner_text()

    for cell in row.locator("th, td:nth-child(n + 3):nth-child(-n + 10)").all():
        expect(cell).to_be_visible()
    assert "451 4.7.1 Greylisted, try again in 5 minutes" in shown
    assert filled.evaluate("document.documentElement.scrollWidth") <= width


def test_the_exact_time_is_told_on_hover_in_the_viewers_zone(filled: Page) -> None:
    time = filled.locator("#j120 time").first
    told = time.evaluate(
        "time => new Date(time.dateTime).toLocaleString('en-GB',"
        " {dateStyle: 'medium', timeStyle: 'long', timeZone: 'Europe/Berlin'})"
    )

    time.hover()

    expect(filled.get_by_role("tooltip")).to_have_text(str(told))


def test_the_first_load_is_small(page: Page, site: Site) -> None:
    fill(site.client, 1_000)
    bodies: list[bytes] = []
    page.on("response", lambda response: bodies.append(_body(response)))

    page.goto(site.url + "/dashboard", wait_until="networkidle")

    assert sum(map(len, bodies)) <= 100_000
    assert sum(len(gzip.compress(body)) for body in bodies) <= 40_000


def _body(response: Response) -> bytes:
    return response.body() if response.status == 200 else b""


@pytest.fixture
def plain(open_page: OpenPage) -> Page:
    """A page without JavaScript."""
    return open_page(java_script_enabled=False)


def test_everything_is_reached_without_javascript(plain: Page, site: Site) -> None:
    fill(site.client, 60)
    plain.goto(site.url + "/dashboard")
    expect(plain.get_by_label("Update")).to_be_hidden()

    plain.get_by_role("columnheader", name="Created").get_by_role("link").click()
    plain.get_by_label("Job type", exact=True).select_option("noop")
    plain.get_by_role("button", name="Filter").click()

    expect(plain.get_by_role("columnheader", name="Created")).to_have_attribute(
        "aria-sort", "ascending"
    )
    shown = ids(plain)
    assert shown == sorted(shown) and shown
    plain.locator("#jobs-table summary").first.click()
    expect(plain.locator("#jobs-table details").first).to_have_attribute("open", "")
    plain.locator("#jobs-table tbody th a").first.click()
    expect(plain).to_have_url(f"{site.url}/dashboard/jobs/{shown[0]}")
