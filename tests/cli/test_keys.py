"""`flask keys …`, `flask password`, `flask audit`."""

from __future__ import annotations

import json
import re

import pytest
import redis
from click.testing import Result
from flask import Flask
from werkzeug.security import check_password_hash

from app.queue.errors import QueueUnavailable
from app.security.api_keys import ApiKeys


def flask(app: Flask, *words: str, **options: str) -> Result:
    return app.test_cli_runner().invoke(args=list(words), **options)


@pytest.fixture
def keys(app: Flask) -> ApiKeys:
    found: ApiKeys = app.extensions["api_keys"]
    return found


def test_create_shows_the_key_alone_on_stdout(app: Flask, keys: ApiKeys) -> None:
    result = flask(app, "keys", "create", "billing")

    assert result.exit_code == 0
    text = result.stdout.strip()
    key = keys.find(text)
    assert key is not None and (key.name, key.scopes) == ("billing", ("submit",))
    assert "not shown again" in result.stderr and text not in result.stderr
    [entry] = app.extensions["audit"].recent()
    assert entry.who.startswith("cli:") and entry.action == "make key"
    assert entry.subject == f"{key.id} (billing; submit)"


def test_create_with_everything(app: Flask, keys: ApiKeys) -> None:
    words = (
        "keys create shop --scope submit --scope read --sender shop.example --sender a@b.example"
    )
    result = flask(app, *words.split(), "--daily-quota", "500", "--json")

    said = json.loads(result.stdout)
    key = keys.find(said["key"])
    assert key is not None
    assert key.scopes == ("submit", "read")
    assert key.senders == ("shop.example", "a@b.example")
    assert key.daily_quota == 500
    assert "sha256" not in said and said["id"] == key.id


def test_list_shows_no_secret(app: Flask, keys: ApiKeys) -> None:
    text = flask(app, "keys", "create", "billing").stdout.strip()
    key = keys.find(text)
    assert key is not None
    keys.note_use(key, now=86_400.0)

    lines = flask(app, "keys", "list").stdout
    as_json = flask(app, "keys", "list", "--json").stdout

    assert re.match(rf"{key.id}  submit  made \S+ \S+  used 1970-01-02 00:00:00  billing\n", lines)
    [shown] = json.loads(as_json)["keys"]
    assert (shown["id"], shown["last_used_at"], shown["revoked_at"]) == (key.id, 86_400.0, None)
    for said in (lines, as_json):
        assert text[12:] not in said and key.sha256 not in said


def test_rotate_then_revoke(app: Flask, keys: ApiKeys) -> None:
    old = flask(app, "keys", "create", "billing", "--scope", "read").stdout.strip()
    old_id = old.split("_")[1]

    new = flask(app, "keys", "rotate", old_id).stdout.strip()
    assert keys.find(old) and keys.find(new)
    revoked = flask(app, "keys", "revoke", old_id)

    assert revoked.stdout == f"Key {old_id} (billing; read) is revoked.\n"
    assert keys.find(old) is None and keys.find(new) is not None
    assert "REVOKED" in flask(app, "keys", "list").stdout
    again = flask(app, "keys", "rotate", old_id)
    assert again.exit_code == 2 and "is revoked" in again.stderr


@pytest.mark.parametrize("words", [("revoke", "x"), ("rotate", "x")])
def test_an_unknown_key_ends_with_1(app: Flask, words: tuple[str, ...]) -> None:
    result = flask(app, "keys", *words)
    assert (result.exit_code, result.stderr) == (1, "There is no API key 'x'.\n")


@pytest.mark.parametrize(
    "words",
    [
        ("create", "x", "--scope", "write"),
        ("create", " "),
        ("create", "x", "--sender", "a b"),
        ("create", "x", "--daily-quota", "0"),
    ],
)
def test_a_wrong_argument_ends_with_2(
    app: Flask, fake_client: redis.Redis, words: tuple[str, ...]
) -> None:
    assert flask(app, "keys", *words).exit_code == 2
    assert fake_client.dbsize() == 0


def test_redis_away_ends_with_3(app: Flask, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("Redis is away: gone")

    monkeypatch.setattr(keys, "create", away)
    monkeypatch.setattr(app.extensions["audit"], "recent", away)

    for words in (("keys", "create", "x"), ("audit",)):
        result = flask(app, *words)
        assert (result.exit_code, result.stderr) == (3, "Redis is away: gone\n")


def test_password_prints_a_hash_of_what_was_typed_twice(app: Flask) -> None:
    result = flask(app, "password", input="correct horse\ncorrect horse\n")
    assert result.exit_code == 0
    a_hash = result.stdout.splitlines()[-1]
    assert check_password_hash(a_hash, "correct horse")
    assert "correct horse" not in result.output
    assert flask(app, "password", "--password", "short").exit_code == 2


def test_audit_shows_the_newest_first(app: Flask) -> None:
    for number in range(3):
        app.extensions["audit"].write("ann", "retry", f"job {number}")

    lines = flask(app, "audit", "--limit", "2").stdout.splitlines()
    entries = json.loads(flask(app, "audit", "--json").stdout)["entries"]

    assert [line.split("  ", 1)[1] for line in lines] == ["ann: retry job 2", "ann: retry job 1"]
    assert [entry["subject"] for entry in entries] == ["job 2", "job 1", "job 0"]
