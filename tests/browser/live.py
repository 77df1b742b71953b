"""What the tests of live pages share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request

from app.queue.submission import NewJob
from tests.browser.conftest import Site

# Shorter than a person may choose, so that a test needs no seconds for each poll.
OFTEN = "localStorage.setItem('mailroom.interval', '0.4')"
TABLE, COUNTS = "/dashboard/partials/jobs-table", "/dashboard/partials/counts"


@pytest.fixture
def live(page: Page, site: Site) -> Callable[..., Page]:
    """Opens a page of jobs that polls often."""

    def open_page(path: str = "/dashboard") -> Page:
        page.add_init_script(OFTEN)
        page.goto(site.url + path)
        return page

    return open_page


@pytest.fixture
def polls(page: Page) -> list[Request]:
    """The requests for the table so far."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if TABLE in request.url else None)
    return found


def rows(page: Page) -> list[int]:
    return [int(text) for text in page.locator("#jobs-table tbody th").all_inner_texts()]


def answered(page: Page, path: str = TABLE, status: int | None = None) -> None:
    """Waits for the next answer to a poll."""
    with page.expect_response(
        lambda answer: path in answer.url and status in (None, answer.status)
    ):
        pass


def submit(site: Site, count: int = 1) -> None:
    site.queue.submit_many([NewJob("noop") for _ in range(count)])
