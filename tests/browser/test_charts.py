"""The charts follow the queue and can be read without seeing them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.workers.processes import wait_until

# How many jobs the table says were submitted in all its minutes together.
SUBMITTED = """[...document.querySelectorAll('#charts-table tbody tr td:nth-of-type(1)')]
    .reduce((sum, cell) => sum + Number(cell.textContent), 0)"""


def test_the_charts_follow_the_queue(page: Page, site: Site) -> None:
    site.queue.submit("noop")
    page.clock.install()
    page.goto(f"{site.url}/dashboard")
    finished = page.locator("#chart-throughput .chart-value")
    expect(finished).to_contain_text("0")

    [job] = site.queue.claim("w1")
    site.queue.complete(job)
    with page.expect_response(lambda answer: "/partials/charts" in answer.url):
        page.clock.run_for(11_000)

    expect(finished).to_contain_text("1 in the last hour")
    expect(page.locator("#chart-throughput path.bars-success")).to_have_count(1)


def test_an_opened_table_stays_open_over_a_poll(page: Page, site: Site) -> None:
    site.queue.submit("noop")
    page.clock.install()
    page.goto(f"{site.url}/dashboard/charts")
    table = page.get_by_role("table", name="Attempts and jobs")
    wait_until(lambda: page.evaluate(SUBMITTED) == 1, "the job in the table")

    site.queue.submit("noop")
    with page.expect_response(lambda answer: "/partials/charts" in answer.url):
        page.clock.run_for(11_000)

    # In one row, or in two, where a minute has passed.
    wait_until(lambda: page.evaluate(SUBMITTED) == 2, "both jobs in the table")
    expect(table).to_be_visible()


def test_a_screen_reader_hears_what_a_chart_says(page: Page, site: Site) -> None:
    [job] = [site.queue.submit("noop"), *site.queue.claim("w1")][1:]
    site.queue.fail(job, "No", retry_in_ms=None)
    page.goto(f"{site.url}/dashboard/charts")

    chart = page.get_by_role("img", name="Finished, last hour")

    expect(chart).to_have_accessible_description(
        "Attempts by outcome: 1 given up. Peak 1/min. The table below has the numbers."
    )
