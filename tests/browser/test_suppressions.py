"""The suppression list: found, added to and taken from, with and without JavaScript."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from app.queue.suppressions import Suppression, Suppressions
from tests.browser.conftest import Site


def store_of(site: Site) -> Suppressions:
    found: Suppressions = site.app.extensions["suppressions"]
    return found


def suppress(site: Site, *addresses: str) -> None:
    for address in addresses:
        store_of(site).add(Suppression(address, "No such mailbox", time.time(), "mail", 550))


def test_an_address_is_added_with_its_reason_and_removed_again(either: Page, site: Site) -> None:
    either.goto(f"{site.url}/dashboard/suppressions")
    expect(either.get_by_role("heading", name="Nobody is on the list")).to_be_visible()

    either.get_by_label("Address to add").fill("ada@example.com")
    either.get_by_label("Reason").fill("She asked for it")
    either.get_by_role("button", name="Add").click()

    row = either.get_by_role("row", name="ada@example.com")
    expect(row).to_contain_text("She asked for it")
    assert list(store_of(site).find(["ada@example.com"])) == ["ada@example.com"]
    either.get_by_role("button", name="Remove ada@example.com").click()
    expect(either.locator("#flashes")).to_contain_text("Mail is sent to ada@example.com again.")
    assert store_of(site).find(["ada@example.com"]) == {}


def test_what_is_no_address_is_refused_in_plain_sight(either: Page, site: Site) -> None:
    either.goto(f"{site.url}/dashboard/suppressions")

    either.get_by_label("Address to add").fill("nobody")
    either.get_by_role("button", name="Add").click()

    expect(either.locator("#flashes")).to_contain_text("Nothing was added.")


def test_a_part_of_an_address_finds_it_and_acting_keeps_the_search(
    either: Page, site: Site
) -> None:
    suppress(site, "ada@example.com", "bob@example.com", "eve@other.example")
    either.goto(f"{site.url}/dashboard/suppressions")

    either.get_by_label("Search for a part of an address").fill("example.com")
    either.get_by_role("button", name="Search").click()
    expect(either.locator("tbody tr")).to_have_count(2)
    either.get_by_role("button", name="Remove bob@example.com").click()

    expect(either.locator("tbody tr")).to_have_count(1)
    expect(either.locator("tbody")).to_contain_text("ada@example.com")
    expect(either).to_have_url(f"{site.url}/dashboard/suppressions?q=example.com")
    either.get_by_role("link", name="Clear").click()
    expect(either.locator("tbody tr")).to_have_count(2)


def test_pages_are_turned(either: Page, site: Site) -> None:
    suppress(site, *(f"user{number}@example.com" for number in range(51)))
    either.goto(f"{site.url}/dashboard/suppressions")
    expect(either.locator("tbody tr")).to_have_count(50)

    either.get_by_role("link", name="Older").click()
    expect(either.locator("tbody tr")).to_have_count(1)
    either.get_by_role("link", name="Newer").click()

    expect(either.locator("tbody tr")).to_have_count(50)
