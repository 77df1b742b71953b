"""The page of workers follows them."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Page, expect

from app.queue.keys import Keys
from tests.browser.conftest import Site

OFTEN = "localStorage.setItem('mailroom.interval', '0.4')"
MAIN: dict[str, Any] = {"role": "main", "host": "mail-1", "pid": 7, "version": "0.1.0"}


def open_page(page: Page, site: Site) -> None:
    page.add_init_script(OFTEN)
    page.clock.install()
    page.goto(f"{site.url}/dashboard/workers")


def poll(page: Page) -> None:
    """Five seconds later."""
    with page.expect_response(lambda answer: "/partials/workers" in answer.url):
        page.clock.run_for(5_500)


def test_a_worker_appears_works_and_falls_silent(page: Page, site: Site) -> None:
    open_page(page, site)
    expect(page.get_by_text("python -m workers.main_worker")).to_be_visible()

    site.queue.renew("w1", [], MAIN | {"concurrency": 16, "busy": 0})
    poll(page)
    row = page.get_by_role("row", name="mail-1")
    expect(row.locator(".status")).to_have_text("Ready")

    job_id = site.queue.submit("noop")
    [job] = site.queue.claim("w1")
    jobs = [{"id": job_id, "job_type": "noop", "picked_at": job.picked_at}]
    site.queue.renew("w1", [job], MAIN | {"concurrency": 16, "busy": 1, "jobs": jobs})
    poll(page)
    expect(row.locator(".status")).to_have_text("Working")
    expect(row).to_contain_text("1 of 16")
    expect(row.get_by_role("link", name=str(job_id))).to_be_visible()

    site.client.zadd(Keys().workers, {"w1": int((time.time() - 40) * 1000)})
    poll(page)
    expect(row.locator(".status")).to_have_text("Silent")
