"""The suppression list over JSON, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.errors import QueueUnavailable
from app.queue.suppressions import Suppression, Suppressions

URL = "/api/suppressions"
MAIL = {"to": "user@example.com", "subject": "Test", "message": "Hello"}


@pytest.fixture
def suppressions(app: Flask) -> Suppressions:
    found: Suppressions = app.extensions["suppressions"]
    return found


@pytest.fixture
def bounced(suppressions: Suppressions) -> Suppression:
    entry = Suppression("user@example.com", "No such mailbox", 1000.5, "worker w1", 550, 7)
    suppressions.add(entry)
    return entry


def submit_mail(http: FlaskClient, **payload: Any) -> Any:
    body = {"job_type": "send_email", "payload": MAIL | payload}
    return http.post("/api/process_query", json=body)


def audit_log(app: Flask) -> list[tuple[str, str, str]]:
    return [(e.who, e.action, e.subject) for e in app.extensions["audit"].recent(20)]


def test_a_mail_to_a_suppressed_recipient_is_refused_by_field(
    http: FlaskClient, bounced: Suppression
) -> None:
    response = submit_mail(
        http, to=["other@example.com"], cc=["USER@Example.COM", {"email": "third@example.com"}]
    )

    assert response.status_code == 422
    [refusal] = response.json["errors"]["payload"]["cc"]
    assert response.json["errors"]["payload"].keys() == {"cc"}
    assert refusal == (
        "user@example.com is on the suppression list: No such mailbox. To send there again, remove "
        "it: DELETE /api/suppressions/user@example.com, or flask suppressions remove."
    )


def test_both_spellings_of_a_domain_are_suppressed(http: FlaskClient) -> None:
    http.put(f"{URL}/user@bücher.example")

    assert submit_mail(http, to="USER@xn--bcher-kva.example").status_code == 422
    assert http.get(f"{URL}/user@XN--bcher-kva.example").status_code == 200


def test_others_are_sent_to(http: FlaskClient, bounced: Suppression) -> None:
    assert submit_mail(http, to="other@example.com").status_code == 200


def test_a_removed_address_is_sent_to_again(http: FlaskClient, bounced: Suppression) -> None:
    assert http.delete(f"{URL}/User@example.com").status_code == 200
    assert submit_mail(http).status_code == 200


def test_switched_off_nothing_is_refused(
    app: Flask, http: FlaskClient, bounced: Suppression
) -> None:
    app.extensions["config"] = replace(app.extensions["config"], mail_suppression=False)
    assert submit_mail(http).status_code == 200


def test_a_batch_asks_redis_once_and_refuses_only_those(
    http: FlaskClient, suppressions: Suppressions, bounced: Suppression, monkeypatch: Any
) -> None:
    asked: list[list[str]] = []
    find = suppressions.find

    def counting(addresses: Any) -> Any:
        asked.append(list(addresses))
        return find(asked[-1])

    monkeypatch.setattr(suppressions, "find", counting)
    recipients = ["a@example.com", "user@example.com", "b@example.com"]
    jobs = [{"job_type": "send_email", "payload": MAIL | {"to": to}} for to in recipients]
    jobs += [{"job_type": "web_noop", "payload": {}}, {"job_type": "send_email", "payload": {}}]

    response = http.post("/api/jobs/batch", json={"jobs": jobs})

    accepted = [result["query_id"] is not None for result in response.json["results"]]
    assert accepted == [True, False, True, True, False]
    assert "payload" in response.json["results"][1]["errors"]
    assert asked == [recipients]


def test_redis_away_is_503(
    http: FlaskClient, suppressions: Suppressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise QueueUnavailable("gone")

    for name in ("find", "page", "add", "remove"):
        monkeypatch.setattr(suppressions, name, away)
    for response in (
        submit_mail(http),
        http.get(URL),
        http.get(f"{URL}/a@example.com"),
        http.put(f"{URL}/a@example.com"),
        http.delete(f"{URL}/a@example.com"),
    ):
        assert response.status_code == 503
        assert "Retry-After" in response.headers


def test_the_list_is_paged_newest_first(http: FlaskClient, suppressions: Suppressions) -> None:
    for number in range(3):
        suppressions.add(Suppression(f"u{number}@example.com", "asked", number, "api"))

    page = http.get(f"{URL}?page=2&limit=2").json

    assert page["message"] == "Suppression list retrieved successfully"
    assert page["query_id"] is None
    assert page["data"] == {
        "total": 3,
        "page": 2,
        "limit": 2,
        "suppressions": [
            {
                "address": "u0@example.com",
                "reason": "asked",
                "at": 0,
                "by": "api",
                "code": None,
                "job_id": None,
            }
        ],
    }


def test_the_list_can_be_searched(http: FlaskClient, bounced: Suppression) -> None:
    assert http.get(f"{URL}?q=USER@").json["data"]["total"] == 1
    assert http.get(f"{URL}?q=nobody").json["data"]["total"] == 0


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "limit=201", "limit=1&limit=2", "q=", "sort=at"]
)
def test_a_wrong_query_is_422_by_name(http: FlaskClient, query: str) -> None:
    response = http.get(f"{URL}?{query}")
    assert response.status_code == 422
    assert list(response.json["errors"]) == [query.partition("=")[0]]


def test_an_address_is_put_there_and_shown(
    app: Flask, http: FlaskClient, suppressions: Suppressions
) -> None:
    response = http.put(f"{URL}/a/b@Example.com", json={"reason": "asked not to"})

    assert response.json["message"] == "Put on the suppression list"
    shown = http.get(f"{URL}/A/B@example.com").json["data"]
    assert shown == response.json["data"]
    assert (shown["address"], shown["reason"]) == ("a/b@example.com", "asked not to")
    assert shown["by"] == "api 127.0.0.1"
    assert audit_log(app) == [("api 127.0.0.1", "suppress", "a/b@example.com")]


def test_it_can_be_posted_too_and_a_repeat_is_harmless(http: FlaskClient) -> None:
    first, again = (http.post(URL, json={"address": "A@example.com"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json["message"] == "Was on the suppression list already"
    assert again.json["data"]["reason"] == "Put there by hand."
    assert http.get(URL).json["data"]["total"] == 1


def test_removing_is_audited_and_404_the_second_time(
    app: Flask, http: FlaskClient, bounced: Suppression
) -> None:
    assert http.delete(f"{URL}/user@example.com").status_code == 200
    response = http.delete(f"{URL}/user@example.com")

    assert response.status_code == 404
    assert response.json["message"] == "The address is not on the suppression list"
    assert http.get(f"{URL}/user@example.com").status_code == 404
    assert audit_log(app) == [("api 127.0.0.1", "unsuppress", "user@example.com")]


@pytest.mark.parametrize(
    "address", ["nobody", "a@b", "Ann <a@example.com>", "a b@example.com", "a@example..com"]
)
def test_what_is_no_address_is_422(http: FlaskClient, address: str) -> None:
    for response in (
        http.put(f"{URL}/{address}"),
        http.get(f"{URL}/{address}"),
        http.delete(f"{URL}/{address}"),
        http.post(URL, json={"address": address}),
    ):
        assert response.status_code == 422
        assert list(response.json["errors"]) == ["address"]


def test_pages_of_other_sites_change_nothing(http: FlaskClient, bounced: Suppression) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert http.delete(f"{URL}/user@example.com", headers=headers).status_code == 403
    assert http.put(f"{URL}/a@example.com", headers=headers).status_code == 403
    assert http.get(URL).json["data"]["total"] == 1


def test_events_can_not_be_submitted_from_outside(http: FlaskClient) -> None:
    payload = {"url": "https://hooks.example/", "id": "evt_1", "event": {"type": "mail.sent"}}
    response = http.post("/api/process_query", json={"job_type": "webhook", "payload": payload})

    assert response.status_code == 422
    assert response.json["errors"] == {
        "job_type": ["Jobs of type webhook are made by the queue itself."]
    }
    schemas = http.get("/api/openapi.json").json["components"]["schemas"]
    assert "webhook" not in schemas["Submission"]["properties"]["job_type"]["enum"]
