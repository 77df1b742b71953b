"""The page of the API's description shows what the document says, and its curl lines work."""

from __future__ import annotations

import html
import json
import re
import shlex

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api import reading
from app.api.openapi_examples import EXAMPLES
from tests.api.test_openapi_examples import Operation, prepare


@pytest.fixture
def page(http: FlaskClient) -> str:
    answer = http.get("/api/docs")
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    return answer.text


def test_every_operation_is_on_the_page(http: FlaskClient, page: str) -> None:
    paths = http.get("/api/openapi.json").json["paths"]
    articles = re.findall(r"<b>([A-Z]+)</b> <code>([^<]+)</code>", page)

    assert sorted(articles) == sorted((m.upper(), p) for p, item in paths.items() for m in item)


def test_nothing_of_another_host_is_asked_for(page: str) -> None:
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", page)
    assert " style=" not in page and " onclick=" not in page


def test_it_is_made_once_whoever_asks(http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger may ask for it as often as they like."""
    http.get("/api/docs")

    def again(*_: object) -> None:
        raise AssertionError("it was made again")

    monkeypatch.setattr(reading, "groups", again)
    for host in ("one.example", "two.example:8443", "[::1]:8000"):
        page = http.get("/api/docs", headers={"Host": host}).text
        assert f"http://{host}/api/tasks" in page and "mailroom.invalid" not in page


@pytest.mark.parametrize(
    "host", ["a&lt;b", "a'b", 'x"><script>alert(1)</script>', "$(id)", "zz zz"]
)
def test_a_strange_host_is_not_repeated(http: FlaskClient, host: str) -> None:
    page = http.get("/api/docs", headers={"Host": host}).text
    assert host not in page and "http://127.0.0.1:8000/api/tasks" in page


def test_fields_are_shown_at_every_depth(http: FlaskClient) -> None:
    groups = reading.groups(http.get("/api/openapi.json").json, "http://localhost")
    operations = {one.anchor: one for group in groups for one in group.operations}

    [done, *_] = operations["listJobs"].answers
    rows = {row.name: row for row in done.rows}
    assert rows["tasks[].id"].type == "integer"
    assert "permanently_failed" in rows["tasks[].status"].rules[0]
    body = {row.name: row for row in operations["submitBatch"].body}
    assert body["jobs[].payload"].required and body["jobs"].rules == ["at most 1000"]
    assert {row.name for row in operations["listJobs"].parameters["query"]} >= {"q", "status"}
    [away] = [one for one in operations["submitJob"].answers if one.code == "503"]
    assert {row.name for row in away.headers} == {"X-Request-ID", "Retry-After"}


@pytest.mark.parametrize("operation", EXAMPLES, ids=" ".join)
def test_each_curl_line_sends_the_example(
    app: Flask, http: FlaskClient, operation: Operation
) -> None:
    method, path = operation
    prepare(app, http, operation)
    words = shlex.split(html.unescape(curl_of(http, operation)).replace("\\\n", " "))
    [url] = [word for word in words if word.startswith("http://")]
    headers = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    [data] = [words[at + 1] for at, word in enumerate(words) if word == "-d"] or [None]
    # The placeholder for a key; none was made here.
    headers = [pair for pair in headers if pair[0] != "Authorization"]

    answer = http.open(url, method=method.upper(), headers=headers, data=data)

    assert answer.status_code == 200, answer.text
    assert json.loads(data or "null") == EXAMPLES[operation].body


def curl_of(http: FlaskClient, operation: Operation) -> str:
    method, path = operation
    name = f"<b>{method.upper()}</b> <code>{path}</code>"
    [_, after] = http.get("/api/docs").text.split(name)
    found = re.search(r"<pre[^>]*>(curl .*?)</pre>", after, re.DOTALL)
    assert found
    return found[1]
