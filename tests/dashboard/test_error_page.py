"""What is answered for an address that leads nowhere, and when a page can't be made."""

from __future__ import annotations

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.mark.parametrize("path", ["/dashboard/nosuch", "/nosuch", "/dashboard/jobs/1/nosuch"])
def test_an_unknown_address_is_a_page_of_ours_with_a_way_on(http: FlaskClient, path: str) -> None:
    response = http.get(path)

    assert response.status_code == 404
    assert "<h1>There is no such page</h1>" in response.text
    assert 'aria-label="Pages"' in response.text
    assert '<a class="button" href="/dashboard">' in response.text
    assert "Content-Security-Policy" in response.headers


def test_an_address_of_a_button_says_so_and_what_is_allowed(http: FlaskClient) -> None:
    response = http.get("/dashboard/jobs/1/cancel")

    assert response.status_code == 405
    assert "<h1>This is not a page</h1>" in response.text
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/dashboard/partials/nosuch", "/static/nosuch.css"])
def test_what_is_loaded_into_a_page_is_no_page_itself(http: FlaskClient, path: str) -> None:
    response = http.get(path)

    assert response.status_code == 404
    assert "<nav" not in response.text


@pytest.mark.parametrize("path", ["/api/nosuch", "/healthz/"])
def test_the_api_answers_as_it_does(http: FlaskClient, path: str) -> None:
    response = http.get(path)

    assert response.status_code == 404
    assert response.json["message"] == "No such endpoint"


def test_an_unexpected_error_shows_a_page_and_none_of_its_words(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setitem(app.view_functions, "dashboard.workers", fail)

    with caplog.at_level(logging.CRITICAL):
        response = app.test_client().get("/dashboard/workers")

    assert response.status_code == 500
    assert "<h1>Something went wrong here</h1>" in response.text
    assert "secret" not in response.text


def test_a_stranger_s_address_is_not_repeated(http: FlaskClient) -> None:
    assert "alert" not in http.get("/dashboard/<script>alert(1)</script>").text
