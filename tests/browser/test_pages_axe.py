"""axe finds nothing on any page in either theme, each fits a phone, and none is forgotten here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import THEMES, Theme, violations
from tests.browser.conftest import Complaints, OpenPage, Site, serving
from tests.browser.places import EMPTY, FULL, LOST, NOT_PAGES, empty, fill, is_for_people

BOTH_THEMES = pytest.mark.parametrize("theme", THEMES)
# Whether an element, or what a style sheet puts before or after it, is on the move.
MOVING = """[...document.querySelectorAll('*')].flatMap(element =>
    ['', '::before', '::after'].map(part => getComputedStyle(element, part)).filter(style =>
        parseFloat(style.transitionDuration) || parseFloat(style.animationDuration))).length"""
ICONS_IN_HEADINGS = """[...document.querySelectorAll('thead *')].filter(element =>
    element.matches('svg, .status, [data-status]') || ['::before', '::after'].some(part =>
        !['none', 'normal'].includes(getComputedStyle(element, part).content))).length"""


@pytest.fixture
def full(site: Site) -> list[str]:
    """The paths of all pages, on a site where each has something to show."""
    names = fill(site)
    return [path.format(**names) for path in FULL]


def look_at(
    page: Page, site_url: str, paths: Iterable[str], look: Callable[[], object], code: int = 200
) -> dict[str, object]:
    """What `look` finds on each page with all its details open, where it finds anything."""
    found = {}
    for path in paths:
        answer = page.goto(site_url + path)
        assert answer and answer.status == code, path
        page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
        if seen := look():
            found[path] = seen
    return found


# One page a test: axe takes seconds for one on a busy machine.
@pytest.mark.parametrize("path", FULL)
def test_axe_finds_nothing_on_any_page(page: Page, site: Site, path: str) -> None:
    page.goto(site.url + path.format(**fill(site)))

    assert violations_in_both_themes(page) == {}


@pytest.mark.parametrize("path", EMPTY)
def test_axe_finds_nothing_where_nothing_is(page: Page, site: Site, path: str) -> None:
    empty(site)
    page.goto(site.url + path)

    assert violations_in_both_themes(page) == {}


def violations_in_both_themes(page: Page) -> dict[str, list[str]]:
    """With details open, by theme, where there are any. Themes differ in colours alone."""
    # The API's page has hundreds, all made by one template: axe takes a minute for them.
    page.evaluate(
        "[...document.querySelectorAll('main details')].slice(0, 20)"
        ".forEach(d => { d.open = true })"
    )
    page.emulate_media(reduced_motion="reduce")  # a colour on its way to another is neither
    found = {}
    for theme, rules in zip(THEMES, ((), ("color-contrast",)), strict=True):
        page.emulate_media(color_scheme=theme)
        if seen := violations(page, *rules):
            found[theme] = seen
    return found


@BOTH_THEMES
@pytest.mark.parametrize("code", sorted(set(LOST.values())))
def test_axe_finds_nothing_where_an_address_leads_nowhere(
    open_page: OpenPage, site: Site, complaints: Complaints, theme: Theme, code: int
) -> None:
    complaints.expected.append(f"the server responded with a status of {code}")
    site.queue.submit("noop")
    page = open_page(color_scheme=theme)
    paths = [path for path, its_code in LOST.items() if its_code == code]

    assert look_at(page, site.url, paths, lambda: violations(page), code) == {}


@BOTH_THEMES
def test_axe_finds_nothing_while_redis_is_away(
    open_page: OpenPage, tmp_path: Path, complaints: Complaints, theme: Theme
) -> None:
    complaints.expected.append("the server responded with a status of 503")
    page = open_page(color_scheme=theme)
    paths = ("/dashboard", "/dashboard/jobs/1", "/dashboard/operations")

    with serving(f"unix://{tmp_path}/nobody.sock", tmp_path) as (url, _):
        found = look_at(page, url, paths, lambda: violations(page), 503)
        page.close()  # it asks to its end, which must come before the server's

    assert found == {}


@BOTH_THEMES
@pytest.mark.parametrize("action", ["Retry", "Cancel", "Delete"])
def test_axe_finds_nothing_where_an_action_is_confirmed(
    open_page: OpenPage, site: Site, full: list[str], theme: Theme, action: str
) -> None:
    page = open_page(color_scheme=theme)
    name, heading = action.lower(), page.get_by_role("heading", level=1)

    page.goto(f"{site.url}/dashboard")
    page.get_by_label("Select all on this page").check()
    page.locator(f"[name=selected][value={name}]").click()
    expect(heading).to_have_text(f"{action} 3 selected jobs?")
    assert violations(page) == []

    page.goto(f"{site.url}/dashboard?tag=shop")
    page.locator(f"[name=all][value={name}]").click()
    expect(heading).to_have_text(f"{action} all 3 jobs that match?")
    assert violations(page) == []

    page.goto(f"{site.url}/dashboard/jobs/1")
    if action == "Delete":
        page.get_by_role("button", name="Delete").click()
        expect(heading).to_have_text("Delete job 1?")
        assert violations(page) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(
    page: Page, site: Site, complaints: Complaints, full: list[str], width: int
) -> None:
    complaints.expected.append("the server responded with a status of 404")
    page.set_viewport_size({"width": width, "height": 800})
    lost = [path for path, code in LOST.items() if code == 404]

    def too_wide() -> int:
        content: int = page.evaluate("document.documentElement.scrollWidth")
        return content if content > width else 0

    assert look_at(page, site.url, full, too_wide) == {}
    assert look_at(page, site.url, lost, too_wide, 404) == {}


def test_nothing_moves_for_those_who_asked_for_it(page: Page, site: Site, full: list[str]) -> None:
    page.emulate_media(reduced_motion="reduce")

    assert look_at(page, site.url, full, lambda: page.evaluate(MOVING)) == {}


def test_no_heading_of_a_table_bears_an_icon(page: Page, site: Site, full: list[str]) -> None:
    """The icon of a status stands before the status of a job, not before the word above it."""
    assert look_at(page, site.url, full, lambda: page.evaluate(ICONS_IN_HEADINGS)) == {}


def test_each_page_can_be_reached_from_the_top(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/dashboard")
    names = ["Charts", "Workers", "Mailbox", "Operations", "Suppressions", "Audit", "API", "Jobs"]
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    assert sorted(links.all_inner_texts()) == sorted(names)

    for name in names:
        link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=name)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_no_page_is_forgotten_above(site: Site) -> None:
    """A new page, or what a browser can ask for and is none, must be put into `places`."""
    routes = site.app.url_map.bind("localhost")
    looked_at = {routes.match(urlsplit(path).path)[0] for path in (*FULL, *EMPTY)}

    there = {
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and is_for_people(rule.rule)
    }

    assert there - looked_at == set(NOT_PAGES)


def test_an_address_that_leads_nowhere_leads_back(
    page: Page, site: Site, complaints: Complaints
) -> None:
    complaints.expected.append("the server responded with a status of 404")
    page.goto(f"{site.url}/dashboard/nosuch")

    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.get_by_role("main").get_by_role("link", name="Show all jobs").click()

    expect(page).to_have_url(f"{site.url}/dashboard")
