"""Every action on jobs is done without JavaScript too: to ticked rows, and to all that match."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from app.queue.inspector import JobQuery
from app.queue.job import Status
from app.queue.submission import NewJob
from tests.browser.conftest import OpenPage, Site

# The statuses of two pending and two given-up jobs, 1 to 4, after each.
AFTERWARDS = {
    "Retry": [Status.PENDING] * 4,
    "Cancel": [Status.PERMANENTLY_FAILED] * 2 + [Status.CANCELLED] * 2,
    "Delete": [],
}
EACH_ACTION = pytest.mark.parametrize("action", AFTERWARDS)


@pytest.fixture
def plain(open_page: OpenPage, site: Site) -> Page:
    site.queue.submit_many([NewJob("noop") for _ in range(4)])
    for job in site.queue.claim("w1", 2):
        site.queue.fail(job, "550 No", retry_in_ms=None)
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/dashboard")
    return page


def statuses(site: Site) -> list[Status]:
    [jobs] = list(site.inspector.walk(JobQuery())) or [[]]
    return [job.status for job in sorted(jobs, key=lambda job: job.id)]


def confirm(page: Page, action: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{action} ")
    page.get_by_role("button", name=action).click()


@EACH_ACTION
def test_to_ticked_rows(plain: Page, site: Site, action: str) -> None:
    for job_id in (1, 2, 3, 4):
        plain.get_by_label(f"Select job {job_id}", exact=True).check()

    plain.get_by_role("button", name=f"{action} selected rows").click()
    confirm(plain, action)

    expect(plain.locator("#flashes .flash")).to_be_visible()
    assert statuses(site) == AFTERWARDS[action]


@EACH_ACTION
def test_to_all_that_match(plain: Page, site: Site, action: str) -> None:
    plain.get_by_role("button", name=f"{action} all 4 jobs").click()
    confirm(plain, action)

    expect(plain.locator("#operation")).to_contain_text("0 of 4")
    while site.queue.operate():
        pass
    plain.reload()
    expect(plain.locator("#operation")).to_contain_text("4 of 4")
    assert statuses(site) == AFTERWARDS[action]
    plain.get_by_role("link", name="All operations").click()
    expect(plain.get_by_role("row", name=f"{action} all jobs")).to_be_visible()


@pytest.mark.parametrize(("action", "job_id"), [("Retry", 1), ("Cancel", 3)])
def test_to_one_row(plain: Page, site: Site, action: str, job_id: int) -> None:
    plain.locator(f"#j{job_id} summary").click()
    plain.get_by_role("button", name=f"{action} job {job_id}", exact=True).click()

    expect(plain.locator("#flashes .flash")).to_contain_text(f"Job {job_id} is ")
    assert statuses(site)[job_id - 1] == AFTERWARDS[action][job_id - 1]


@pytest.mark.parametrize(("action", "job_id"), [("Retry", 1), ("Cancel", 3), ("Delete", 4)])
def test_on_the_page_of_a_job(plain: Page, site: Site, action: str, job_id: int) -> None:
    plain.goto(f"{site.url}/dashboard/jobs/{job_id}")
    plain.get_by_role("button", name=action, exact=True).click()
    if action == "Delete":
        confirm(plain, action)
        expect(plain.locator("#flashes .flash")).to_have_text("Deleted 1 job.")
        assert len(statuses(site)) == 3
    else:
        expect(plain.locator("#flashes .flash")).to_contain_text(f"Job {job_id} is ")
        assert statuses(site)[job_id - 1] == AFTERWARDS[action][job_id - 1]
