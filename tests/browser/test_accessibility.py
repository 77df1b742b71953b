"""axe finds nothing on the page of jobs, in either theme and in any of its states."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import THEMES, violations
from tests.browser.conftest import Complaints, Site
from tests.browser.jobs import fill, worker_alive

OFTEN = "localStorage.setItem('mailroom.interval', '0.4')"


def empty(page: Page, site: Site) -> None:
    page.goto(site.url + "/dashboard")


def full(page: Page, site: Site) -> None:
    fill(site.client, 12)  # enough for every status; axe takes long for more
    worker_alive(site.client)
    page.goto(site.url + "/dashboard")


def nothing_matches(page: Page, site: Site) -> None:
    fill(site.client, 5)
    page.goto(site.url + "/dashboard?q=999")


def paused_with_a_row_open_and_one_selected(page: Page, site: Site) -> None:
    fill(site.client, 32)
    site.queue.pause()
    page.add_init_script(OFTEN)
    page.goto(site.url + "/dashboard?page=2&sort=created_at")
    page.locator("#jobs-table summary").first.click()
    page.locator("#jobs-table [name=ids]").nth(1).check()
    site.queue.submit("noop")
    expect(page.locator("#note")).to_be_visible()


def help_is_open(page: Page, site: Site) -> None:
    fill(site.client, 5)
    page.goto(site.url + "/dashboard")
    page.locator("#help-button").click()


def a_row_has_the_focus(page: Page, site: Site) -> None:
    full(page, site)
    page.keyboard.press("j")
    expect(page.get_by_role("tooltip")).to_be_visible()


def a_bad_address(page: Page, site: Site) -> None:
    page.goto(site.url + "/dashboard?page=0")


@pytest.mark.parametrize(
    "show",
    [
        empty,
        full,
        nothing_matches,
        paused_with_a_row_open_and_one_selected,
        help_is_open,
        a_row_has_the_focus,
        a_bad_address,
    ],
)
def test_axe_finds_nothing(
    page: Page,
    site: Site,
    complaints: Complaints,
    show: Callable[[Page, Site], None],
) -> None:
    if show is a_bad_address:
        complaints.expected.append("the server responded with a status of 400")
    page.emulate_media(reduced_motion="reduce")  # a colour on its way to another is neither

    show(page, site)

    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        assert violations(page) == [], theme


def test_axe_finds_nothing_on_a_phone(page: Page, site: Site) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    full(page, site)
    page.locator("#jobs-table summary").first.click()

    assert violations(page) == []


def test_the_table_is_one_for_assistive_technology(page: Page, site: Site) -> None:
    full(page, site)

    table = page.get_by_role("table", name="Jobs, page 1 of 1")

    expect(table.get_by_role("row")).to_have_count(13)
    expect(table.get_by_role("columnheader")).to_have_count(10)
    expect(table.get_by_role("rowheader").first).to_have_text("12")


def test_the_status_region_is_polite_and_not_filled_with_every_change(
    page: Page, site: Site
) -> None:
    fill(site.client, 30)
    page.add_init_script(OFTEN)
    page.goto(site.url + "/dashboard")
    said = page.locator("#announcer")
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(announcer.textContent))"
        ".observe(announcer, {childList: true})"
    )
    page.locator("#jobs-table [name=ids]").first.check()
    for n in range(3):
        site.queue.submit("noop")
        expect(page.locator("#note")).to_contain_text(f"Updates paused · {n + 1} change")

    expect(said).to_have_text("Updates paused · 1 change")
    assert page.evaluate("window.said.length") == 1
