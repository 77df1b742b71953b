"""Acting from the pages: in place with JavaScript, page by page without, asked again where it
matters."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.queue.inspector import JobQuery
from app.queue.job import Status
from app.queue.operations import Operations
from app.queue.submission import NewJob
from tests.browser.conftest import Complaints, Site

HOSTILE = "<img src=x onerror=alert(1)>{{ 7*7 }}</td><b>"


def submit(site: Site, count: int, **fields: Any) -> None:
    site.queue.submit_many([NewJob("noop", **fields) for _ in range(count)])


def give_up(site: Site, count: int) -> None:
    for job in site.queue.claim("w1", count):
        site.queue.fail(job, "550 no such user", retry_in_ms=None)


def status(site: Site, job_id: int) -> Status:
    return site.inspector.job(job_id).status


def operations(site: Site) -> Operations:
    found: Operations = site.app.extensions["operations"]
    return found


def open_row(page: Page, job_id: int) -> None:
    page.locator(f"#j{job_id} summary").click()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Page, text: str) -> None:
    expect(page.locator("#flashes")).to_contain_text(text)


# ── One job ─────────────────────────────────────────────────────────────────────────────────────


def test_a_row_is_retried_and_the_page_tells(either: Page, site: Site) -> None:
    submit(site, 3)
    give_up(site, 1)
    either.goto(f"{site.url}/dashboard")

    open_row(either, 1)
    press(either, "Retry job 1")

    said(either, "Job 1 is pending again.")
    expect(either.locator("#j1")).to_contain_text("Pending")
    assert status(site, 1) == Status.PENDING


def test_a_job_is_cancelled_on_its_page(either: Page, site: Site) -> None:
    submit(site, 1)
    either.goto(f"{site.url}/dashboard/jobs/1")

    press(either, "Cancel")

    said(either, "Job 1 is cancelled.")
    expect(either.locator("h1")).to_have_text("Job 1")
    assert either.url == f"{site.url}/dashboard/jobs/1"
    assert status(site, 1) == Status.CANCELLED


def test_what_came_too_late_says_why_not(either: Page, site: Site) -> None:
    # A poll would take the button away.
    either.add_init_script("localStorage.setItem('mailroom.interval', '0')")
    submit(site, 1)
    either.goto(f"{site.url}/dashboard/jobs/1")
    site.queue.complete(site.queue.claim("w1")[0])

    press(either, "Cancel")

    said(either, "Cannot cancel job 1: it has succeeded.")


def test_delete_asks_first_and_back_changes_nothing(either: Page, site: Site) -> None:
    submit(site, 1)
    path = "/dashboard/jobs/1"

    def ask() -> None:
        either.goto(site.url + path)
        press(either, "Delete")
        expect(either.locator("h1")).to_have_text("Delete job 1?")

    ask()
    either.get_by_role("link", name="Back", exact=True).click()
    expect(either).to_have_url(site.url + path)
    assert status(site, 1) == Status.PENDING

    ask()
    press(either, "Delete 1 job")
    said(either, "Deleted 1 job.")
    expect(either.get_by_text("No jobs yet")).to_be_visible()


def test_a_row_is_retried_in_place(page: Page, site: Site) -> None:
    submit(site, 25)
    give_up(site, 25)
    page.goto(f"{site.url}/dashboard")
    page.evaluate("window.same = true")
    open_row(page, 3)
    page.locator("#j5 [name=ids]").check()
    scrolled = page.evaluate("scrollTo(0, 400), scrollY")
    assert scrolled > 0

    press(page, "Retry job 3")

    said(page, "Job 3 is pending again.")
    expect(page.locator("#j3")).to_contain_text("Pending")
    assert page.evaluate("window.same"), "the page was loaded again"
    expect(page.locator("#j5 [name=ids]")).to_be_checked()
    assert page.evaluate("scrollY") > 0


# ── Ticked rows ─────────────────────────────────────────────────────────────────────────────────


def test_ticked_rows_are_confirmed_then_done_with_a_summary(either: Page, site: Site) -> None:
    submit(site, 4)
    give_up(site, 2)
    either.goto(f"{site.url}/dashboard")
    for job_id in (1, 2, 3):
        either.locator(f"#j{job_id} [name=ids]").check()

    press(either, "Retry selected rows")

    expect(either.locator("h1")).to_have_text("Retry 3 selected jobs?")
    expect(either.get_by_text("2 can be retried; the other 1 will be skipped.")).to_be_visible()
    assert status(site, 1) == Status.PERMANENTLY_FAILED
    press(either, "Retry 2 jobs")
    said(either, "Retried 2 jobs. Skipped 1 (pending: 3).")
    assert status(site, 1) == status(site, 2) == Status.PENDING
    expect(either.locator("[name=ids]:checked")).to_have_count(0)


def test_nothing_ticked_says_so(either: Page, site: Site) -> None:
    submit(site, 1)
    either.goto(f"{site.url}/dashboard")

    press(either, "Delete selected rows")

    said(either, "No rows are selected.")
    assert status(site, 1) == Status.PENDING


# ── All that match ──────────────────────────────────────────────────────────────────────────────


def test_all_that_match_are_confirmed_and_done_in_the_background(either: Page, site: Site) -> None:
    submit(site, 30, tags=("news",))
    submit(site, 1)
    either.goto(f"{site.url}/dashboard?tag=news")

    press(either, "Cancel all 30 that match")
    expect(either.locator("h1")).to_have_text("Cancel all 30 jobs that match?")
    expect(either.get_by_text("tag news")).to_be_visible()
    press(either, "Cancel 30 jobs")

    expect(either.locator("#operation")).to_contain_text("0 of 30")
    assert "/dashboard/operations/" in either.url
    while site.queue.operate():
        pass
    either.reload()
    expect(either.locator("#operation")).to_contain_text("30 of 30")
    assert site.inspector.counts()[Status.CANCELLED] == 30
    assert status(site, 31) == Status.PENDING


def test_progress_is_live_and_the_polls_end_with_the_operation(page: Page, site: Site) -> None:
    submit(site, 30)
    operations(site).start("cancel", JobQuery(), "tests")
    page.goto(f"{site.url}/dashboard/operations/1")
    page.evaluate("window.same = true")
    expect(page.locator("#operation")).to_contain_text("Running")

    site.queue.operate(limit=10)
    expect(page.locator("#operation")).to_contain_text("10 of 30")
    expect(page.locator("progress")).to_have_js_property("value", 10)
    while site.queue.operate():
        pass
    expect(page.locator("#operation")).to_contain_text("Done")
    expect(page.locator("#operation")).not_to_have_attribute("hx-trigger", "every 1s")
    assert page.evaluate("window.same")


def test_an_operation_is_stopped_with_a_button(either: Page, site: Site) -> None:
    submit(site, 30)
    started = operations(site).start("cancel", JobQuery(), "tests")
    either.goto(f"{site.url}/dashboard/operations/{started}")
    site.queue.operate(limit=10)

    press(either, "Stop")

    expect(either.locator("#operation")).to_contain_text("Stopped")
    expect(either.locator("#operation")).to_contain_text("10 of 30")
    assert not site.queue.operate()
    assert site.inspector.counts()[Status.PENDING] == 20


def test_the_list_of_operations_is_live(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/dashboard/operations")
    expect(page.get_by_text("No operations in the last week")).to_be_visible()

    submit(site, 1)
    operations(site).start("cancel", JobQuery(), "ada")

    expect(page.locator("#operations-list")).to_contain_text("ada")


# ── The queue ───────────────────────────────────────────────────────────────────────────────────


def test_the_queue_is_paused_and_resumed(either: Page, site: Site) -> None:
    submit(site, 1)
    either.goto(f"{site.url}/dashboard?status=pending")

    press(either, "Pause queue")
    said(either, "The queue is paused")
    assert site.queue.claim("w1") == []
    expect(either).to_have_url(f"{site.url}/dashboard?status=pending")
    press(either, "Resume queue")
    said(either, "The queue goes on.")
    assert len(site.queue.claim("w1")) == 1


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/dashboard/jobs/1", "/dashboard"])
def test_an_outdated_page_is_refused_in_plain_sight(
    either: Page, site: Site, complaints: Complaints, path: str
) -> None:
    complaints.expected.append("400")
    # A poll would bring a form with a token that is good again.
    either.add_init_script("localStorage.setItem('mailroom.interval', '0')")
    submit(site, 1)
    either.goto(site.url + path)
    either.context.clear_cookies()

    if path == "/dashboard":
        open_row(either, 1)
    press(either, "Cancel job 1" if path == "/dashboard" else "Cancel")

    expect(either.locator("h1")).to_have_text("Nothing was done")
    assert status(site, 1) == Status.PENDING


def test_a_page_of_another_site_can_start_nothing(
    page: Page, site: Site, complaints: Complaints
) -> None:
    """With the cookie and even a token of a person who has the dashboard open."""
    complaints.expected.append("400|403")
    submit(site, 1)
    page.goto(f"{site.url}/dashboard/jobs/1")
    token = page.locator("[name=csrf_token]").first.input_value()
    form = f"""<form method="post" action="{site.url}/dashboard/jobs/1/cancel">
        <input name="csrf_token" value="{token}"><button>Win a prize</button></form>"""
    page.route("http://evil.test/", lambda r: r.fulfill(body=form, content_type="text/html"))
    page.goto("http://evil.test/")

    press(page, "Win a prize")

    expect(page.locator("h1")).to_have_text("Nothing was done")
    assert status(site, 1) == Status.PENDING


# ── Strangers' text ─────────────────────────────────────────────────────────────────────────────


def test_what_strangers_wrote_is_text_on_every_page_that_asks(either: Page, site: Site) -> None:
    submit(site, 1, title=HOSTILE, people=(HOSTILE,), tags=("news",))
    started = operations(site).start("cancel", JobQuery(q=HOSTILE), HOSTILE)

    either.goto(f"{site.url}/dashboard")
    press(either, "Delete all 1 jobs")
    expect(either.locator("tbody")).to_contain_text(HOSTILE)
    expect(either.locator("img, main td b")).to_have_count(0)
    for path in (f"/dashboard/operations/{started}", "/dashboard/operations"):
        either.goto(site.url + path)
        expect(either.locator("main")).to_contain_text(HOSTILE)
        expect(either.locator("img")).to_have_count(0)
