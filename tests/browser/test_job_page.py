"""One job's page: it follows the job, and a mail in it can do nothing."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from app.queue.outcome import completed, failed
from tests.browser.conftest import Complaints, OpenPage, Site

# A sandboxed frame has no storage.
OFTEN = "try { localStorage.setItem('mailroom.interval', '0.4') } catch {}"
MAIL = {"to": "ada@example.com", "subject": "Your order", "message": "It is on its way."}


@pytest.fixture
def page(page: Page) -> Page:
    page.add_init_script(OFTEN)
    return page


def submit_mail(site: Site, **payload: object) -> int:
    return site.queue.submit("send_email", json.dumps(MAIL | payload), title="Your order")


def test_the_page_follows_the_job_to_its_end(page: Page, site: Site) -> None:
    job_id = submit_mail(site)
    page.goto(f"{site.url}/dashboard/jobs/{job_id}")
    expect(page.locator(".why")).to_contain_text("No worker is alive")

    [job] = site.queue.claim("w1")
    expect(page.locator(".heading .status")).to_have_text("Processing")
    result = {"recipients": {"ada@example.com": {"status": "sent", "code": 250, "reply": "Ok"}}}
    site.queue.turn("w1", [completed(job, result)], 0)

    expect(page.locator(".heading .status")).to_have_text("Success")
    expect(page.locator(".recipients")).to_contain_text("Sent")
    expect(page.locator(".timeline")).to_contain_text("Attempt 1 succeeded")


def test_polls_leave_a_loaded_payload_and_open_details_alone(page: Page, site: Site) -> None:
    job_id = submit_mail(site, note="x" * 20_000)
    [job] = site.queue.claim("w1")
    site.queue.turn(
        "w1", [failed(job, "No", retry_in_ms=60_000, result={"recipients": {"a": {}}})], 0
    )
    page.goto(f"{site.url}/dashboard/jobs/{job_id}")
    page.get_by_role("link", name="Show all 19.6 KB").click()
    expect(page.locator("#payload pre")).to_contain_text("xxxx")
    page.get_by_text("All of it").click()

    site.queue.cancel(job_id)

    expect(page.locator(".heading .status")).to_have_text("Cancelled")
    expect(page.locator("#payload pre")).to_contain_text("xxxx")
    expect(page.get_by_label("Result").locator("pre")).to_be_visible()


def test_a_poll_that_finds_nothing_new_swaps_nothing(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/dashboard/jobs/{submit_mail(site)}")

    with page.expect_response(lambda answer: "/partials/job/" in answer.url) as first:
        pass
    with page.expect_response(lambda answer: answer.status == 304):
        pass

    assert first.value.status in (200, 304)


def test_a_job_that_is_deleted_says_so(page: Page, site: Site) -> None:
    job_id = submit_mail(site)
    page.goto(f"{site.url}/dashboard/jobs/{job_id}")

    site.queue.delete(job_id)

    expect(page.get_by_text("This job is gone.")).to_be_visible()


def test_the_html_of_a_mail_is_shown_and_can_do_nothing(
    page: Page, site: Site, complaints: Complaints
) -> None:
    # The frame's policy stops what the mail tries; the browser says so.
    complaints.expected += ["Blocked script execution", "policy", "Content Security Policy"]
    complaints.expected += ["document is sandboxed", "form's frame is sandboxed"]
    html = (
        '<h1 style="color: rgb(1, 2, 3)">Hello</h1><script>parent.document.title = "owned"</script>'
        '<img id="tracker" src="/static/icon.svg?pixel" onerror="top.location = \'/\'">'
        '<form action="/" target="_top"><button>Go</button></form>'
        '<meta http-equiv="refresh" content="0; url=/">'
    )
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(response.url))
    job_id = submit_mail(site, html=html)
    page.goto(f"{site.url}/dashboard/jobs/{job_id}")

    page.get_by_text("HTML", exact=True).click()
    frame = page.frame_locator("iframe.mail-frame")
    expect(frame.locator("h1")).to_have_css("color", "rgb(1, 2, 3)")
    frame.get_by_role("button", name="Go").click()

    expect(page).to_have_title(f"Job {job_id} · Mailroom")
    assert page.url.endswith(f"/dashboard/jobs/{job_id}")
    assert not any("pixel" in url for url in loaded)


def test_without_javascript_everything_is_there(open_page: OpenPage, site: Site) -> None:
    page = open_page(java_script_enabled=False)
    job_id = submit_mail(site, note="x" * 20_000, html="<h1>Hello</h1>")
    page.goto(f"{site.url}/dashboard/jobs/{job_id}")

    page.get_by_role("link", name="Show all").click()

    expect(page.locator("#payload pre")).to_contain_text("xxxx")
    page.get_by_role("link", name=f"job {job_id}").click()
    expect(page.get_by_role("heading", name=f"Job {job_id}")).to_be_visible()
