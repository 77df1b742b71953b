"""`flask suppressions …`"""

from __future__ import annotations

import json

import pytest
from click.testing import Result
from flask import Flask

from app.queue.errors import QueueUnavailable
from app.queue.suppressions import Suppression, Suppressions
from tests.api.conftest import app, config

__all__ = ["app", "config"]


@pytest.fixture
def suppressions(app: Flask) -> Suppressions:
    found: Suppressions = app.extensions["suppressions"]
    return found


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["suppressions", *words])


def test_list_shows_an_address_a_line(app: Flask, suppressions: Suppressions) -> None:
    suppressions.add(Suppression("a@example.com", "No such mailbox", 0.0, "worker w1"))
    suppressions.add(Suppression("b@example.org", "asked not to", 86_400.0, "api"))

    assert flask(app, "list").stdout.splitlines() == [
        "b@example.org  1970-01-02 00:00  asked not to",
        "a@example.com  1970-01-01 00:00  No such mailbox",
    ]
    assert flask(app, "list", "-q", "@example.com").stdout.startswith("a@example.com")
    cut = flask(app, "list", "--limit", "1")
    assert (len(cut.stdout.splitlines()), cut.stderr) == (
        1,
        "1 of 2 shown; --limit shows more.\n",
    )


def test_list_in_json(app: Flask, suppressions: Suppressions) -> None:
    suppressions.add(Suppression("a@example.com", "No such mailbox", 1.5, "worker w1", 550, 7))

    result = flask(app, "list", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "total": 1,
        "suppressions": [
            {
                "address": "a@example.com",
                "reason": "No such mailbox",
                "at": 1.5,
                "by": "worker w1",
                "code": 550,
                "job_id": 7,
            }
        ],
    }


def test_add_and_add_again(app: Flask, suppressions: Suppressions) -> None:
    first = flask(app, "add", "A@Example.com", "--reason", "asked not to")
    again = flask(app, "add", "a@example.com", "--json")

    assert (first.exit_code, first.stdout) == (0, "a@example.com is on the list now.\n")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["added"] is False
    [entry] = suppressions.page().found
    assert entry.reason == "Put there by hand."
    assert entry.by.startswith("cli")
    [_, audited] = app.extensions["audit"].recent(5)
    assert (audited.action, audited.subject) == ("suppress", "a@example.com")


def test_remove_ends_with_1_when_it_is_not_there(app: Flask, suppressions: Suppressions) -> None:
    suppressions.add(Suppression("a@example.com", "asked not to", 0.0, "api"))

    first = flask(app, "remove", "A@example.com")
    again = flask(app, "remove", "a@example.com", "--json")

    assert (first.exit_code, first.stdout) == (0, "a@example.com is off the list.\n")
    assert again.exit_code == 1
    assert json.loads(again.stdout) == {"removed": False, "address": "a@example.com"}


@pytest.mark.parametrize("words", [("add", "nobody"), ("remove", "a@b"), ("list", "--limit", "0")])
def test_a_wrong_argument_ends_with_2(app: Flask, words: tuple[str, ...]) -> None:
    result = flask(app, *words)
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


@pytest.mark.parametrize("words", [("list",), ("add", "a@example.com"), ("remove", "a@b.example")])
def test_redis_away_ends_with_3(
    app: Flask,
    suppressions: Suppressions,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("Redis is away: gone")

    for name in ("page", "add", "remove"):
        monkeypatch.setattr(suppressions, name, away)

    result = flask(app, *words)

    assert (result.exit_code, result.stderr) == (3, "Redis is away: gone\n")
