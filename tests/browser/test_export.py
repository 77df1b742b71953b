"""The export of what the page of jobs shows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from playwright.sync_api import Page

from app.queue.submission import NewJob
from tests.browser.conftest import Site


def test_the_links_export_what_the_filter_shows(page: Page, site: Site) -> None:
    site.queue.submit_many([NewJob("noop", tags=("shop",)) for _ in range(230)])
    site.queue.submit_many([NewJob("noop") for _ in range(20)])
    page.goto(f"{site.url}/dashboard?tag=shop")

    with page.expect_download() as as_csv:
        page.get_by_role("link", name="CSV").click()
    with page.expect_download() as as_lines:
        page.get_by_role("link", name="JSON Lines").click()

    text = Path(as_csv.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    lines = Path(as_lines.value.path()).read_text(encoding="utf-8").splitlines()
    assert as_csv.value.suggested_filename == "jobs.csv"
    assert as_lines.value.suggested_filename == "jobs.jsonl"
    assert [int(row["id"]) for row in rows] == list(range(1, 231))
    assert [json.loads(line)["id"] for line in lines] == list(range(1, 231))
