"""The page of the audit log."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.forms import Page
from tests.dashboard.hostile import HOSTILE

LINK_OLDER = ">Older</a>"


def write(app: Flask, count: int) -> None:
    for number in range(count):
        app.extensions["audit"].write(f"cli person{number}", "retry", f"job {number}")


def test_it_says_that_nobody_did_anything(http: FlaskClient) -> None:
    assert "Nobody did anything yet" in Page(http.get("/dashboard/audit")).text


def test_pages_follow_each_other_without_a_gap(app: Flask, http: FlaskClient) -> None:
    write(app, 120)
    shown, url = [], "/dashboard/audit"
    for _ in range(3):
        response = http.get(url)
        words = Page(response).words
        shown += [word for word in words if word.startswith("job ")]
        _, has_older, _ = response.text.partition(LINK_OLDER)
        url = response.text.partition(LINK_OLDER)[0].rpartition('href="')[2].partition('"')[0]
    assert shown == [f"job {number}" for number in reversed(range(120))]
    assert not has_older
    assert "120 entries" in " ".join(words)


def test_what_strangers_wrote_is_text(app: Flask, http: FlaskClient) -> None:
    for text in HOSTILE:
        app.extensions["audit"].write(text, text, text)
    shown = http.get("/dashboard/audit").text.partition("<main")[2]
    for tag in ("<script", "<img", "<svg", "</pre>", "\u202e", "\u200b"):
        assert tag not in shown


@pytest.mark.parametrize("before", ["x", "1", "-", "1-1-1", "+", "(1-1", "9" * 30 + "-1"])
def test_an_id_that_is_none_is_a_bad_address(http: FlaskClient, before: str) -> None:
    assert http.get("/dashboard/audit", query_string={"before": before}).status_code == 400


def test_after_the_oldest_there_is_nothing(app: Flask, http: FlaskClient) -> None:
    write(app, 1)
    page = Page(http.get("/dashboard/audit?before=1-0"))
    assert "There is nothing older." in page.text
