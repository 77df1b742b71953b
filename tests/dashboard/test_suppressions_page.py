"""The page of the suppression list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.queue.suppressions import Suppression, Suppressions
from tests.dashboard.forms import Page

URL = "/dashboard/suppressions"


@pytest.fixture
def suppressions(app: Flask) -> Suppressions:
    found: Suppressions = app.extensions["suppressions"]
    return found


def entry(address: str = "user@example.com", at: float = 1.0, **fields: object) -> Suppression:
    return replace(Suppression(address, "No such mailbox", at, "worker w1", 550, 7), **fields)


def add(http: FlaskClient, url: str = URL, **typed: str) -> TestResponse:
    form = Page(http.get(url)).form("Add")
    form.fields += list(typed.items())
    return form.send(http, "Add")


def follow(http: FlaskClient, response: TestResponse) -> Page:
    assert response.status_code == 303, response.text
    return Page(http.get(response.location))


def test_the_page_tells_who_is_on_the_list_and_why(
    http: FlaskClient, suppressions: Suppressions
) -> None:
    suppressions.add(entry())

    page = http.get(URL)

    for text in ("user@example.com", "No such mailbox", "worker w1", 'href="/dashboard/jobs/7"'):
        assert text in page.text
    assert "1–1 of 1 address" in Page(page).text


def test_the_page_is_in_the_navigation(http: FlaskClient) -> None:
    html = http.get(URL).text
    assert f'href="{URL}" data-go="s" aria-current="page"' in html


def test_an_empty_list_says_so(http: FlaskClient) -> None:
    assert "Nobody is on the list" in http.get(URL).text
    assert "No address contains" in http.get(f"{URL}?q=x").text


def test_an_address_is_added_with_its_reason(
    app: Flask, http: FlaskClient, suppressions: Suppressions
) -> None:
    page = follow(http, add(http, address=" User@Example.com ", reason="asked not to"))

    assert "No mail is sent to user@example.com any more." in page.text
    [found] = suppressions.page().found
    assert (found.address, found.reason) == ("user@example.com", "asked not to")
    assert found.by == "dashboard 127.0.0.1"
    [audited] = app.extensions["audit"].recent(5)
    assert (audited.action, audited.subject) == ("suppress", "user@example.com")


def test_adding_again_says_that_it_was_there(http: FlaskClient, suppressions: Suppressions) -> None:
    suppressions.add(entry())
    page = follow(http, add(http, address="user@example.com"))
    assert "was on the list already" in page.text


@pytest.mark.parametrize("address", ["", "nobody", "Ann <a@example.com>"])
def test_what_is_no_address_is_not_added(
    http: FlaskClient, suppressions: Suppressions, address: str
) -> None:
    page = follow(http, add(http, address=address))

    assert "Nothing was added." in page.text
    assert suppressions.page().total == 0


def test_an_address_is_removed_and_the_person_stays_where_they_were(
    app: Flask, http: FlaskClient, suppressions: Suppressions
) -> None:
    suppressions.add(entry())
    suppressions.add(entry("other@example.com"))
    button = "Remove user@example.com"

    response = Page(http.get(f"{URL}?q=user")).form(button).send(http, button)

    assert response.location == f"{URL}?q=user"
    page = follow(http, response)
    assert "Mail is sent to user@example.com again." in page.text
    assert [found.address for found in suppressions.page().found] == ["other@example.com"]
    [audited] = app.extensions["audit"].recent(5)
    assert (audited.action, audited.subject) == ("unsuppress", "user@example.com")


def test_removing_what_is_gone_says_so(http: FlaskClient, suppressions: Suppressions) -> None:
    suppressions.add(entry())
    form = Page(http.get(URL)).form("Remove user@example.com")
    suppressions.remove("user@example.com")

    page = follow(http, form.send(http, "Remove user@example.com"))

    assert "The address is not on the list." in page.text


def test_a_form_without_the_token_does_nothing(
    http: FlaskClient, suppressions: Suppressions
) -> None:
    suppressions.add(entry())

    for action in ("add", "remove"):
        data = {"address": "user@example.com"}
        assert http.post(f"{URL}/{action}", data=data).status_code == 400
    assert suppressions.page().found == [entry()]


def test_long_lists_have_pages(http: FlaskClient, suppressions: Suppressions) -> None:
    for number in range(120):
        suppressions.add(entry(f"u{number}@example.com", at=number))

    second = http.get(f"{URL}?page=2&q=u").text

    assert "51–100 of 120 addresses" in second
    assert 'rel="prev" href="/dashboard/suppressions?q=u&amp;page=1"' in second
    assert 'rel="next" href="/dashboard/suppressions?q=u&amp;page=3"' in second
    assert "There is no page 9." in http.get(f"{URL}?page=9").text


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=99999999", f"q={'x' * 201}"])
def test_a_wrong_address_is_400(http: FlaskClient, query: str) -> None:
    assert http.get(f"{URL}?{query}").status_code == 400


def test_what_strangers_wrote_is_text(http: FlaskClient, suppressions: Suppressions) -> None:
    suppressions.add(entry("<b>\u202e@example.com", reason="<i>&{{ 7*7 }}"))

    html = http.get(URL).text

    assert "&lt;b&gt;\\u202e@example.com" in html and "&lt;i&gt;&amp;{{ 7*7 }}" in html
    assert "<b>" not in html and "<i>" not in html


def test_a_list_that_is_switched_off_says_so(app: Flask, http: FlaskClient) -> None:
    app.extensions["config"] = replace(app.extensions["config"], mail_suppression=False)
    assert "MAIL_SUPPRESSION=0" in http.get(URL).text
