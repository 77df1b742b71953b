"""The keyboard reaches everything, and leaves text fields alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.jobs import fill


@pytest.fixture
def jobs(page: Page, site: Site) -> Page:
    fill(site.client, 60)
    page.goto(site.url + "/dashboard")
    expect(page.locator("#help-button")).to_be_visible()  # the script has started
    return page


def press_pair(page: Page, first: str, second: str) -> None:
    """Both within the second that there is for it, however busy the machine: it stands still."""
    page.clock.set_fixed_time(datetime.now(UTC))
    page.keyboard.press(first)
    page.keyboard.press(second)


def focused_row(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr')?.id ?? ''"))


def test_j_and_k_move_enter_opens(jobs: Page, site: Site) -> None:
    for key in "jjjk":
        jobs.keyboard.press(key)
    assert focused_row(jobs) == "j59"

    jobs.keyboard.press("Enter")

    expect(jobs).to_have_url(site.url + "/dashboard/jobs/59")


def test_a_row_with_the_focus_tells_its_exact_times(jobs: Page) -> None:
    jobs.keyboard.press("j")

    tooltip = jobs.get_by_role("tooltip")

    expect(tooltip).to_contain_text(re.compile(r"^Created \d+ \w+ \d{4}, \d\d:\d\d:\d\d"))
    expect(jobs.locator("#j60 th a")).to_have_attribute("aria-describedby", "tip")
    jobs.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()


def test_x_selects_the_row(jobs: Page) -> None:
    jobs.keyboard.press("j")
    jobs.keyboard.press("x")
    expect(jobs.get_by_label("Select job 60", exact=True)).to_be_checked()

    jobs.keyboard.press("x")

    expect(jobs.get_by_label("Select job 60", exact=True)).not_to_be_checked()


def test_brackets_turn_pages(jobs: Page) -> None:
    jobs.keyboard.press("]")
    expect(jobs).to_have_url(re.compile(r"\?page=2$"))
    expect(jobs.locator("#j35")).to_be_visible()
    jobs.wait_for_load_state()

    jobs.keyboard.press("[")

    expect(jobs.locator("#j60")).to_be_visible()


def test_g_goes_to_pages(jobs: Page, site: Site) -> None:
    press_pair(jobs, "g", "w")
    expect(jobs).to_have_url(site.url + "/dashboard/workers")
    jobs.wait_for_load_state()  # the address changes before the page's script listens

    press_pair(jobs, "g", "j")

    expect(jobs).to_have_url(site.url + "/dashboard")


def test_r_asks_to_retry_the_row(jobs: Page) -> None:
    jobs.keyboard.press("j")

    jobs.keyboard.press("r")

    expect(jobs.get_by_role("heading", name="Retry job 60?")).to_be_visible()


def test_slash_goes_to_the_search_and_text_fields_keep_their_keys(jobs: Page, site: Site) -> None:
    jobs.keyboard.press("/")
    jobs.keyboard.type("jx]?/gw")

    expect(jobs.get_by_role("searchbox")).to_have_value("jx]?/gw")
    expect(jobs.get_by_role("dialog")).to_be_hidden()
    assert jobs.url == site.url + "/dashboard"


def test_lists_to_choose_from_and_dialogs_keep_their_keys(jobs: Page, site: Site) -> None:
    jobs.get_by_label("Update").focus()
    for key in "jx]?gw":
        jobs.keyboard.press(key)
    expect(jobs.get_by_role("dialog")).to_be_hidden()

    jobs.locator("#help-button").click()
    for key in "jx]gw":
        jobs.keyboard.press(key)

    assert focused_row(jobs) == ""
    assert jobs.url == site.url + "/dashboard"


def test_moving_ends_at_the_first_and_the_last_row(jobs: Page) -> None:
    for _ in range(2):
        jobs.keyboard.press("j")
        jobs.keyboard.press("k")
    assert focused_row(jobs) == "j60"

    for _ in range(30):
        jobs.keyboard.press("j")

    assert focused_row(jobs) == "j36"


def test_r_on_the_page_of_a_job_retries_it(page: Page, site: Site) -> None:
    site.queue.submit("noop")
    site.queue.fail(site.queue.claim("w1")[0], "550 No", retry_in_ms=None)
    page.goto(f"{site.url}/dashboard/jobs/1")
    expect(page.locator("#help-button")).to_be_visible()

    page.keyboard.press("r")

    expect(page.locator("#flashes")).to_contain_text("Job 1 is pending again.")


@pytest.mark.parametrize("name", ["Charts", "Mailbox", "Operations", "Suppressions"])
def test_g_goes_to_every_page_of_the_top(jobs: Page, name: str) -> None:
    link = jobs.get_by_role("navigation", name="Pages").get_by_role("link", name=name)

    press_pair(jobs, "g", str(link.get_attribute("data-go")))

    expect(jobs.get_by_role("heading", level=1)).to_have_text(name)


@pytest.mark.parametrize("key", ["Control+j", "Alt+j", "Meta+j"])
def test_keys_of_the_browser_are_left_alone(jobs: Page, key: str) -> None:
    jobs.keyboard.press(key)

    assert focused_row(jobs) == ""


def test_help_opens_with_a_question_mark_and_switches_the_keys_off(jobs: Page) -> None:
    jobs.keyboard.press("?")
    dialog = jobs.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Use keyboard shortcuts").uncheck()
    dialog.get_by_role("button", name="Close").click()

    jobs.keyboard.press("j")
    assert focused_row(jobs) == ""
    jobs.reload()
    expect(jobs.locator("#help-button")).to_be_visible()
    jobs.keyboard.press("j")
    assert focused_row(jobs) == ""
    jobs.locator("#help-button").click()
    jobs.get_by_label("Use keyboard shortcuts").check()
    jobs.get_by_role("button", name="Close").click()
    jobs.keyboard.press("j")
    assert focused_row(jobs) == "j60"


def test_all_rows_of_the_page_are_selected_at_once(jobs: Page) -> None:
    everything = jobs.get_by_label("Select all on this page")
    everything.check()
    boxes = jobs.locator("#jobs-form [name=ids]")
    assert all(box.is_checked() for box in boxes.all())

    boxes.first.uncheck()

    assert everything.evaluate("box => box.indeterminate")
