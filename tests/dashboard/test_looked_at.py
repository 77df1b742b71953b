"""A page of jobs that a tag or search leads to says how far it looked, and leads further."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.queue.inspector import LOOK_MAX
from app.queue.job import Priority
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.dashboard.test_index import Table, table


@pytest.fixture
def jobs(queue: JobQueue) -> None:
    """Forty jobs with the tag; every fourth is high."""
    queue.submit_many(
        [
            NewJob(
                "web_noop",
                priority=Priority.HIGH if n % 4 == 0 else Priority.LOW,
                tags=("welcome",),
                title="Hello you" if n % 2 else "Hello",
                people=("ann@example.com",),
            )
            for n in range(40)
        ]
    )


def said(shown: str) -> str:
    [text] = [part.split("</p>")[0] for part in shown.split('<p class="looked"')[1:]]
    return " ".join(text.split(">", 1)[1].split())


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tag=welcome&sort=status", "the newest 8 of 40 jobs with #welcome: 8 match."),
        ("tag=welcome&priority=low", "the newest 8 of 30 jobs that pass the filters: 8 match."),
        ("q=ann@example.com&sort=status", "the newest 8 of 40 jobs for ann@example.com: 8 match."),
        ("q=hello", "8 of 40 places where “hello” was found, from the end of the alphabet: 8 m"),
        ("q=hello+&tag=welcome&priority=high", "the newest 8 of 10 jobs that pass the filters: 8 "),
    ],
)
def test_it_says_what_was_looked_at(http: FlaskClient, address: str, words: str) -> None:
    assert said(http.get(f"/dashboard?{address}&look=8").text).startswith(f"Looked at {words}")


@pytest.mark.usefixtures("jobs")
def test_its_links_look_further(http: FlaskClient) -> None:
    first = table(http, "/dashboard?tag=welcome&priority=high&sort=status&look=1&limit=50")

    wider = table(http, first.links["Look at all"])

    assert len(first.ids) == 1
    assert len(wider.ids) == 10
    assert "looked" not in http.get(first.links["Look at all"]).text
    assert f"look={LOOK_MAX}" in first.links["Look at all"]


@pytest.mark.usefixtures("jobs")
def test_a_wider_look_comes_before_all(http: FlaskClient) -> None:
    links = table(http, "/dashboard?tag=welcome&sort=status&look=3").links

    assert "look=30" in links["Look at 30"]
    assert "look=30" not in links["Look at all"]
    assert "Look at" not in " ".join(table(http, "/dashboard?tag=welcome&look=3").links)


@pytest.mark.usefixtures("jobs")
def test_how_far_it_looks_stays_when_the_order_changes(http: FlaskClient) -> None:
    links = table(http, "/dashboard?tag=welcome&sort=status&look=30").links

    assert "look=30" in links["Priority"]


@pytest.mark.usefixtures("jobs")
def test_nothing_found_so_far_is_not_called_nothing(http: FlaskClient) -> None:
    page = http.get("/dashboard?q=%23welcome&sort=status&status=failed&look=5").text
    assert "No job is like this now." in page  # no job has failed: that is exact

    page = http.get("/dashboard?q=ann@example.com&tag=welcome&priority=high&page=2&look=5").text
    assert "No job is like this now." not in page


@pytest.mark.parametrize("look", ["0", "-1", "many", "100001", "1.5"])
def test_a_look_that_cannot_be_is_refused(http: FlaskClient, look: str) -> None:
    response = http.get(f"/dashboard?tag=welcome&look={look}")

    assert response.status_code == 400
    assert f"look: must be a whole number from 1 to {LOOK_MAX}." in response.text


def test_a_table_needs_no_words_when_all_was_looked_at(http: FlaskClient) -> None:
    assert "looked" not in http.get("/dashboard?tag=welcome&sort=status").text
    assert Table(http.get("/dashboard?tag=welcome").text).links
