"""axe (WCAG 2.2 AA and best practices) finds nothing on the pages beside the table of jobs, and
they fit a phone."""

from __future__ import annotations

import json
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from app.mail.mailbox import MailboxTransport
from app.queue.outcome import completed, failed
from tests.browser.conftest import Complaints, Site, watch

PAGES = (
    "/dashboard/jobs/1",
    "/dashboard/jobs/2",
    "/dashboard/jobs/3",
    "/dashboard/jobs/1/payload",
    "/dashboard/workers",
    "/dashboard/mailbox",
    "/dashboard/mailbox/{mail}",
    "/dashboard/charts",
    "/dashboard/charts?window=day",
)
LONG = "A" * 300


@pytest.fixture
def full(site: Site) -> dict[str, str]:
    """Jobs, workers and a mail, with texts too long for any cell."""
    queue = site.queue
    mail = {"to": f"{'a' * 60}@{'b' * 60}.example", "subject": LONG, "message": LONG, "html": LONG}
    for _ in range(3):
        queue.submit(
            "send_email", json.dumps(mail), tags=("shop",), title=LONG, people=(mail["to"],)
        )
    failing, done, running = queue.claim("worker-1", 3)
    result = {
        "recipients": {mail["to"]: {"status": "deferred", "code": 451, "reply": LONG}},
        "message_id": f"<{LONG}@example.com>",
    }
    outcomes = [failed(failing, LONG, retry_in_ms=60_000, smtp_code=451, result=result)]
    queue.turn("worker-1", [*outcomes, completed(done, result)], 0)
    queue.cancel(running.id)
    presence: dict[str, Any] = {"role": "main", "host": "h" * 60, "pid": 1, "version": "0.1.0"}
    jobs = [{"id": running.id, "job_type": "send_email", "picked_at": running.picked_at}]
    queue.renew("worker-1", [], presence | {"concurrency": 16, "busy": 1, "jobs": jobs})
    queue.renew("retry-1", [], presence | {"role": "retry"})
    return {"mail": deliver_one(site)}


def deliver_one(site: Site) -> str:
    folder: Path = site.app.extensions["config"].data_dir / "mailbox"
    for path in folder.glob("*/*"):
        path.unlink()
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = LONG, "ada@example.com", "shop@example.com"
    mail["X-Shop"] = LONG
    mail.set_content("Hello\n")
    mail.add_alternative("<h1>Hello</h1>", subtype="html")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename=f"{LONG}.pdf")
    MailboxTransport(folder).deliver(mail.as_bytes())
    [path] = (folder / "new").iterdir()
    return path.name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, site: Site, full: dict[str, str], complaints: Complaints, theme: Any
) -> None:
    context = browser.new_context(color_scheme=theme)
    page = context.new_page()
    watch(page, complaints)
    found = {}
    for path in (*PAGES, "/dashboard/jobs/99"):
        page.goto(site.url + path.format(**full))
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        # A sandboxed frame runs no script, so not axe's either.
        violations = Axe().run(page, options={"iframes": False}).response["violations"]
        if violations:
            found[path] = [(v["id"], v["nodes"][0]["html"][:200]) for v in violations]
    context.close()
    complaints.expected.append("404")

    assert found == {}
    assert complaints.unexpected == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_where_nothing_is(browser: Browser, site: Site, theme: Any) -> None:
    folder: Path = site.app.extensions["config"].data_dir / "mailbox"
    for path in folder.glob("*/*"):
        path.unlink()
    context = browser.new_context(color_scheme=theme)
    page = context.new_page()
    found = {}
    for url in ("/dashboard/workers", "/dashboard/mailbox", "/dashboard/charts"):
        page.goto(site.url + url)
        if violations := Axe().run(page).response["violations"]:
            found[url] = [(v["id"], v["nodes"][0]["html"][:200]) for v in violations]
    context.close()

    assert found == {}


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(
    browser: Browser, site: Site, full: dict[str, str], width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    wider = {}
    for path in PAGES:
        page.goto(site.url + path.format(**full))
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        content = page.evaluate("document.documentElement.scrollWidth")
        if content > width:
            wider[path] = content
    context.close()

    assert wider == {}


def test_each_page_can_be_reached_from_the_top(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/dashboard")

    for name in ("Charts", "Workers", "Mailbox", "Jobs"):
        link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    context.close()
