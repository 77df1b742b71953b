from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

URL = "/api/tasks"
Submit = Callable[..., int]


def ids(http: FlaskClient, query: str) -> list[int]:
    response = http.get(f"{URL}?{query}")
    assert response.status_code == 200, response.text
    return [task["id"] for task in response.json["tasks"]]


def test_an_empty_queue_is_an_empty_page(http: FlaskClient) -> None:
    assert http.get(URL).json == {
        "status": "success",
        "total_tasks": 0,
        "page": 1,
        "limit": 50,
        "tasks_returned": 0,
        "tasks": [],
    }


def test_the_newest_jobs_come_first_with_their_payloads(http: FlaskClient, submit: Submit) -> None:
    for n in range(3):
        submit(payload={"n": n})

    answer = http.get(URL, query_string={"limit": 2}).json

    assert (answer["total_tasks"], answer["limit"], answer["tasks_returned"]) == (3, 2, 2)
    assert [task["id"] for task in answer["tasks"]] == [3, 2]
    assert [task["payload"] for task in answer["tasks"]] == ['{"n": 2}', '{"n": 1}']
    assert list(answer["tasks"][0])[:3] == ["id", "job_type", "payload"]


def test_pages_follow_each_other(http: FlaskClient, submit: Submit) -> None:
    for _ in range(5):
        submit()

    assert ids(http, "limit=2&page=2&order=asc") == [3, 4]
    assert ids(http, "limit=2&page=3&order=asc") == [5]
    assert ids(http, "limit=2&page=1000000000") == []


def test_jobs_are_filtered_and_sorted(http: FlaskClient, submit: Submit) -> None:
    submit(priority="high", tags=["red"])
    submit(job_type="web_greet", payload={"name": "Ada"})
    submit(delay_seconds=60, tags=["red"])
    http.post("/api/job/2/cancel")

    assert ids(http, "status=cancelled") == [2]
    assert ids(http, "status=success") == []
    assert ids(http, "job_type=web_greet") == [2]
    assert ids(http, "priority=high") == [1]
    assert ids(http, "tag=red") == [3, 1]
    assert ids(http, "q=2") == [2]
    assert ids(http, "sort=priority&order=asc") == [1, 2, 3]
    assert ids(http, "sort=status&order=desc") == [3, 1, 2]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page=0", "page"),
        ("page=1000000001", "page"),
        ("page=1_0", "page"),
        ("page=%EF%BC%91", "page"),
        ("page=", "page"),
        ("page=" + "9" * 5000, "page"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("status=done", "status"),
        ("status=", "status"),
        ("priority=HIGH", "priority"),
        ("tag=a+b", "tag"),
        ("q=" + "x" * 201, "q"),
        ("q=%00", "q"),
        ("q=%20%0a", "q"),
        ("sort=payload", "sort"),
        ("order=up", "order"),
        ("endpoint=x", "endpoint"),
        ("page=1&page=2", "page"),
    ],
)
def test_an_unusable_parameter_is_named(http: FlaskClient, query: str, name: str) -> None:
    response = http.get(f"{URL}?{query}")

    assert response.status_code == 422
    assert list(response.json["errors"]) == [name]


@pytest.mark.parametrize("query", [{"job_type": "a:b*"}, {"q": "%\0"}, {"q": "☃"}])
def test_odd_searches_find_nothing(http: FlaskClient, submit: Submit, query: Any) -> None:
    submit()

    assert http.get(URL, query_string=query).json["total_tasks"] == 0
