"""The login in a real browser: keyboard, expiry while a page is open, accessibility, phones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, OpenPage, Site, serving
from tests.conftest import RedisServer
from tests.security.conftest import PASSWORD, VIEWER_PASSWORD, hashed


@pytest.fixture(scope="module")
def guarded_app(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    passwords = {
        "dashboard_password_hash": hashed(PASSWORD),
        "dashboard_viewer_password_hash": hashed(VIEWER_PASSWORD),
    }
    with serving(server.url, tmp_path_factory.mktemp("data"), **passwords) as found:
        yield found


@pytest.fixture
def guarded_site(guarded_app: tuple[str, Any], client: redis.Redis) -> Site:
    """The application with passwords, on an empty server."""
    url, app = guarded_app
    return Site(url, app, client)


def log_in(page: Page, name: str = "operator", password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_a_person_logs_in_and_out(either: Page, guarded_site: Site, complaints: Complaints) -> None:
    page = either
    complaints.expected.append("403")
    page.goto(f"{guarded_site.url}/dashboard/audit")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    expect(page.get_by_role("navigation", name="Pages")).to_have_count(0)
    log_in(page, password="not my password")
    expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")

    log_in(page)

    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    expect(page.get_by_role("row", name="log in the dashboard")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_live_page_leads_to_the_login_when_it_ends(
    page: Page, guarded_site: Site, complaints: Complaints
) -> None:
    complaints.expected.append("401")
    page.goto(f"{guarded_site.url}/dashboard?status=failed")
    log_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")

    page.context.clear_cookies()

    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    log_in(page)
    expect(page).to_have_url(f"{guarded_site.url}/dashboard?status=failed")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(
    open_page: OpenPage, guarded_site: Site, complaints: Complaints, theme: Any, width: int
) -> None:
    complaints.expected.append("403")
    guarded_site.queue.submit("send_email", "{}")
    page = open_page(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{guarded_site.url}/login")
    found = {"login": problems(page)}
    log_in(page, "viewer", "not my password")
    expect(page.get_by_role("alert")).to_be_visible()
    found["refused"] = problems(page)
    log_in(page, "viewer", VIEWER_PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    found["jobs"] = problems(page)
    for path in ("audit", "suppressions", "jobs/1"):
        page.goto(f"{guarded_site.url}/dashboard/{path}")
        found[path] = problems(page)
    page.evaluate(
        "() => { const form = document.querySelector('form.who');"
        "form.action = '/dashboard/queue/pause'; form.submit(); }"
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("You may look, not act")
    found["forbidden"] = problems(page)

    assert found == dict.fromkeys(found, [])


def problems(page: Page) -> list[Any]:
    """What axe finds, and whether the page is wider than its window."""
    page.wait_for_load_state("load")
    violations = Axe().run(page, options={"iframes": False}).response["violations"]
    found = [(v["id"], v["nodes"][0]["html"][:200]) for v in violations]
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return found if widths[0] <= widths[1] else [*found, widths]
