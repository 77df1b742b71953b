"""The page follows the queue, without disturbing anyone."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.jobs import fill
from tests.browser.live import COUNTS, TABLE, answered, live, rows, submit
from tests.workers.processes import wait_until

__all__ = ["live"]


def test_the_first_job_appears_by_itself(live: Callable[..., Page], site: Site) -> None:
    page = live()
    expect(page.get_by_text("No jobs yet")).to_be_visible()

    submit(site)

    expect(page.locator("#jobs-table tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="All 1")).to_be_visible()


def test_a_change_of_status_shows_in_row_and_tabs(live: Callable[..., Page], site: Site) -> None:
    submit(site, 2)
    page = live()
    expect(page.locator("#j1 .status")).to_have_text("Pending")

    [job] = site.queue.claim("worker-1")
    site.queue.complete(job)

    expect(page.locator("#j1 .status")).to_have_text("Success")
    expect(page.get_by_role("link", name="Success 1")).to_be_visible()
    expect(page.get_by_role("link", name="Pending 1")).to_be_visible()


def test_focus_scroll_ticks_and_opened_rows_stay(live: Callable[..., Page], site: Site) -> None:
    submit(site, 25)
    page = live()
    page.locator("#j20 summary").click()
    page.locator("#j3 th a").scroll_into_view_if_needed()
    page.locator("#j3 th a").focus()
    scrolled = page.evaluate("scrollY")

    site.queue.cancel(24)
    expect(page.locator("#j24 .status")).to_have_text("Cancelled")

    assert page.evaluate("document.activeElement.closest('tr').id") == "j3"
    assert page.evaluate("scrollY") == scrolled > 0
    expect(page.locator("#j20 details")).to_have_attribute("open", "")


def test_the_caret_stays_where_it_is_while_counts_change(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site)
    page = live()
    search = page.get_by_role("searchbox")
    search.press_sequentially("ada@example.com")
    for _ in range(4):
        search.press("ArrowLeft")

    submit(site)
    expect(page.get_by_role("link", name="All 2")).to_be_visible()

    expect(search).to_be_focused()
    assert search.evaluate("field => field.selectionStart") == 11
    search.press_sequentially("x")
    expect(search).to_have_value("ada@examplex.com")


def test_the_page_field_keeps_focus_and_text_while_rows_change(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site, 30)
    page = live()
    field = page.get_by_label("Page", exact=True)
    field.focus()
    page.keyboard.press("End")

    site.queue.cancel(30)
    expect(page.locator("#j30 .status")).to_have_text("Cancelled")
    page.keyboard.type("2")

    expect(field).to_be_focused()
    expect(field).to_have_value("12")


def test_rows_do_not_move_while_some_are_selected(live: Callable[..., Page], site: Site) -> None:
    submit(site, 3)
    page = live()
    page.get_by_label("Select job 2", exact=True).check()

    submit(site, 14)

    note = page.locator("#note")
    expect(note).to_contain_text("Updates paused · 1 change")
    assert rows(page) == [3, 2, 1]
    note.get_by_role("button", name="Apply").click()
    expect(page.locator("#jobs-table tbody tr")).to_have_count(17)
    expect(page.get_by_label("Select job 2", exact=True)).to_be_checked()
    expect(note).to_be_hidden()


def test_updates_go_on_when_nothing_is_selected_any_more(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site)
    page = live()
    box = page.get_by_label("Select job 1", exact=True)
    box.check()
    submit(site)
    expect(page.locator("#note")).to_be_visible()

    box.uncheck()

    expect(page.locator("#j2")).to_be_visible()
    expect(page.locator("#note")).to_be_hidden()


def test_rows_do_not_move_while_someone_types(live: Callable[..., Page], site: Site) -> None:
    submit(site)
    page = live()
    search = page.get_by_role("searchbox")
    search.press_sequentially("ad")

    submit(site)

    expect(page.locator("#note")).to_contain_text("Updates paused")
    assert rows(page) == [1]
    search.press_sequentially("a@")
    expect(search).to_have_value("ada@")
    search.fill("")
    expect(page.locator("#j2")).to_be_visible()


def test_rows_do_not_move_behind_a_dialog(live: Callable[..., Page], site: Site) -> None:
    submit(site)
    page = live()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()

    submit(site)
    answered(page, COUNTS, 200)

    assert rows(page) == [1]
    page.keyboard.press("Escape")
    expect(page.locator("#j2")).to_be_visible()


def test_newer_jobs_are_offered_to_someone_who_reads(live: Callable[..., Page], site: Site) -> None:
    submit(site, 25)
    page = live()
    page.mouse.move(640, 500)
    page.mouse.wheel(0, 300)
    wait_until(lambda: page.evaluate("scrollY > 8"), "scrolled")

    submit(site, 7)
    site.queue.cancel(20)

    note = page.locator("#note")
    expect(note).to_contain_text("7 newer jobs")
    assert rows(page) == list(range(25, 0, -1))
    expect(page.locator("#j20 .status")).to_have_text("Cancelled")  # what is there still changes
    note.get_by_role("button", name="Show").click()
    expect(page.locator("#j32")).to_be_visible()
    assert rows(page) == list(range(32, 7, -1))
    expect(note).to_be_hidden()


def test_more_newer_jobs_than_a_page_holds_are_counted(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site, 25)
    page = live()
    page.locator("#j5 th a").focus()

    submit(site, 40)

    expect(page.locator("#note")).to_contain_text("40 newer jobs")
    assert rows(page) == list(range(25, 0, -1))


def test_new_jobs_push_in_where_nobody_reads(live: Callable[..., Page], site: Site) -> None:
    submit(site)
    page = live()

    submit(site, 2)

    expect(page.locator("#jobs-table tbody tr")).to_have_count(3)
    assert rows(page) == [3, 2, 1]


def test_polls_keep_filter_sort_and_page_and_never_push(
    live: Callable[..., Page], site: Site
) -> None:
    submit(site, 60)
    path = "/dashboard?priority=low&sort=created_at&order=asc&limit=25&page=2"
    page = live(path)
    length = page.evaluate("history.length")

    site.queue.cancel(30)

    expect(page.locator("#j30 .status")).to_have_text("Cancelled")
    assert rows(page) == list(range(26, 51))
    assert page.url == site.url + path
    assert page.evaluate("history.length") == length


def test_an_answer_to_the_last_filter_does_not_overwrite_the_new_one(
    live: Callable[..., Page], site: Site
) -> None:
    """A slow poll of "all" comes back after the person went to "cancelled"."""
    fill(site.client, 30)
    page = live()
    waiting = []
    page.route(f"**{TABLE}", lambda route: waiting.append(route))
    with page.expect_request(lambda request: request.url.endswith(TABLE)):
        pass
    page.get_by_role("link", name="Cancelled").click()
    expect(page).to_have_url(re.compile("status=cancelled"))
    cancelled = rows(page)

    for route in waiting:
        route.continue_()
    answered(page)

    assert rows(page) == cancelled
    assert set(page.locator("#jobs-table tbody .status").all_inner_texts()) == {"Cancelled"}
