from __future__ import annotations

import json

import pytest

from app.dashboard.payload import MASK, is_secret, pretty
from app.dashboard.visible import visible


def test_json_is_written_on_lines_of_its_own() -> None:
    assert pretty('{"a":[{"b":null},true],"c":{},"d":[1,"x"]}') == (
        '{\n  "a": [\n    {\n      "b": null\n    },\n    true\n  ],\n  "c": {},\n'
        '  "d": [1, "x"]\n}'
    )


def test_numbers_stay_as_they_were_written() -> None:
    text = pretty('{"a": 1.10, "b": 123456789012345678901234567890, "c": 1e5, "d": -0}')

    assert '"a": 1.10' in text
    assert '"b": 123456789012345678901234567890' in text
    assert '"c": 1e5' in text
    assert '"d": -0' in text


@pytest.mark.parametrize(
    "name",
    ["password", "SMTP_PASSWORD", "apiKey", "X-Api-Key", "api_key", "access_token", "secret", "pin"]
    + ["Authorization", "clientSecret", "private_key", "Set-Cookie", "passwort", "auth"],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert "hunter2" not in pretty(json.dumps({"x": [{name: "hunter2"}]}))
    assert MASK in pretty(json.dumps({name: {"inner": "hunter2"}}))


@pytest.mark.parametrize("name", ["to", "subject", "author", "keyboard", "shipping", "monkey"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


def test_what_cant_be_parsed_stands_as_it_is_but_for_secrets() -> None:
    assert pretty('{"password": "hunter2", broken') == f'{{"password": "{MASK}", broken'
    assert pretty('{"api_key": 12345, "to": "a"') == f'{{"api_key": "{MASK}", "to": "a"'
    assert pretty('{"password": "hunt') == f'{{"password": "{MASK}"'
    assert pretty("not json") == "not json"


def test_depth_beyond_all_bounds_is_shown_as_it_stands() -> None:
    deep = "[" * 100_000 + "]" * 100_000

    assert pretty(deep) == deep


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("a\x00b\x1bc", "a\\u0000b\\u001bc"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("line\r\nline\ttab é 漢字 👩‍🔬", "line\nline\ttab é 漢字 👩‍🔬"),
        ("lone\rreturn", "lone\\u000dreturn"),
    ],
)
def test_characters_that_hide_or_reorder_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
