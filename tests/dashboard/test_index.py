from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from app.queue.jobqueue import JobQueue

Submit = Callable[..., int]


class Table(HTMLParser):
    """The cells of the table of jobs, row by row, and all links of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: dict[str, str] = {}
        self._href: str | None = None
        self._cell = self._in_table = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._in_table = dict(attrs).get("class") == "jobs"
        if tag == "tr" and self._in_table:
            self.rows.append([])
        if tag in ("td", "th") and self._in_table:
            self.rows[-1].append("")
            self._cell = True
        if tag == "a":
            self._href = dict(attrs)["href"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._cell = self._in_table = False
        if tag == "a":
            self._href = None

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and self._cell:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {text}".strip()
        if text and self._href is not None:
            self.links.setdefault(text, self._href)

    @property
    def ids(self) -> list[int]:
        return [int(row[1]) for row in self.rows[1:]]


def test_a_search_for_a_control_character_finds_nothing(http: FlaskClient, submit: Submit) -> None:
    submit()

    assert table(http, "/dashboard?q=%00").ids == []
    assert len(table(http, "/dashboard?q=+").ids) == 1  # a box in which only a space was typed


def table(http: FlaskClient, url: str = "/dashboard") -> Table:
    response = http.get(url)
    assert response.status_code == 200
    return Table(response.text)


def test_the_root_leads_to_the_dashboard(http: FlaskClient) -> None:
    response = http.get("/")

    assert (response.status_code, response.location) == (302, "/dashboard")


def test_an_empty_queue_shows_how_to_submit_the_first_job(http: FlaskClient) -> None:
    page = http.get("/dashboard").text

    assert "No jobs yet" in page
    assert "curl http://localhost/api/process_query" in page


def test_the_newest_jobs_come_first(http: FlaskClient, queue: JobQueue, submit: Submit) -> None:
    submit(priority="high")
    submit()
    queue.fail(queue.claim("worker-1")[0], "550 No such user", retry_in_ms=None)

    shown = table(http)

    assert shown.rows[0][1] == "ID ↓"
    assert shown.ids == [2, 1]
    assert shown.rows[2][2:6] == ["web_noop", "", "High", "Permanently failed"]
    assert shown.rows[2][9:11] == ["1", "550 No such user"]


def test_what_strangers_wrote_is_shown_as_text(
    http: FlaskClient, queue: JobQueue, submit: Submit
) -> None:
    submit()
    queue.fail(queue.claim("<b>w")[0], "<script>alert(1)</script>", retry_in_ms=None)

    page = http.get("/dashboard").text

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_tabs_count_each_status_and_filter_by_it(http: FlaskClient, submit: Submit) -> None:
    submit()
    submit(delay_seconds=60)

    shown = table(http)
    scheduled = table(http, shown.links["Scheduled"])

    assert scheduled.ids == [2]
    assert re.search(r"Scheduled\s*<b>1</b>", http.get("/dashboard").text)
    assert "Nothing matches" in http.get(shown.links["Success"]).text


def test_a_heading_sorts_and_turns_round(http: FlaskClient, submit: Submit) -> None:
    for priority in ("low", "high", "low"):
        submit(priority=priority)

    once = table(http, table(http).links["Priority"])
    twice = table(http, once.links["Priority"])

    assert once.ids == [2, 1, 3]
    assert twice.ids == [3, 1, 2]
    page = http.get(table(http).links["Priority"]).text
    assert page.count("aria-sort") == 1
    assert 'aria-sort="ascending"' in page


def test_pages_follow_each_other_and_keep_filter_and_sort(
    http: FlaskClient, submit: Submit
) -> None:
    for _ in range(30):
        submit()
    submit(priority="high")

    first = table(http, "/dashboard?limit=25&priority=low&sort=created_at&order=asc")
    second = table(http, first.links["Next"])
    last = table(http, first.links["Last"])

    assert first.ids == list(range(1, 26))
    assert second.ids == list(range(26, 31)) == last.ids
    assert table(http, second.links["Previous"]).ids == first.ids
    assert "Next" not in second.links


def test_a_page_beyond_the_end_leads_back(http: FlaskClient, submit: Submit) -> None:
    submit()

    response = http.get("/dashboard?page=99")

    assert "There is no page 99" in response.text
    assert Table(response.text).links["Go to the last one"] == "/dashboard"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("page=0", "page: must be a whole number from 1"),
        ("page=%EF%BC%91", "page: must be a whole number from 1"),
        ("limit=10", "limit: must be one of 25, 50, 100, 200."),
        ("status=done", "status: must be one of scheduled, pending"),
        ("sort=payload", "sort: must be one of id, job_type"),
        ("order=up", "order: must be one of asc, desc."),
        ("endpoint=%3Cb%3E&_external=1", "endpoint: there is no such parameter."),
        ("q=" + "x" * 201, "q: at most 200 characters"),
    ],
)
def test_an_unusable_address_is_400_and_says_why(
    http: FlaskClient, query: str, problem: str
) -> None:
    response = http.get(f"/dashboard?{query}")

    assert response.status_code == 400
    assert problem in response.text


def test_empty_parameters_ask_for_nothing(http: FlaskClient, submit: Submit) -> None:
    submit()

    assert table(http, "/dashboard?status=&q=&page=").ids == [1]


@pytest.mark.parametrize("url", ["/dashboard", "/dashboard?status=success", "/dashboard?page=0"])
def test_pages_hold_no_inline_script_or_style(http: FlaskClient, submit: Submit, url: str) -> None:
    submit()

    page = http.get(url).text

    assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=", page) == []
