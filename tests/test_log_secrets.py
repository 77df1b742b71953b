"""What looks like a secret, or is one of the settings, is masked in the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.log_secrets import Masks

KEY = "mr_0123abcd_" + "9f" * 32


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key {KEY} is wrong", "key mr_0123abcd_*** is wrong"),
        ("Error with redis://:hunter22@db:6379/0.", "Error with redis://***@db:6379/0."),
        ("smtp://ann:hunter22@mail.example/", "smtp://***@mail.example/"),
        ("Authorization: Bearer abc.hunter22.ghi", "Authorization: ***"),
        ("{'Cookie': 'mailroom_8000=hunter22'}", "{'Cookie': ***"),
        (r'{"password": "hunter\"22", "n": 1}', '{"password": "***", "n": 1}'),
        ("login(user='ann', password='hunter22')", "login(user='ann', password='***')"),
        ("GET /x?api_key=hunter22&n=1", "GET /x?api_key=***&n=1"),
        ("signed with whsec_aHVudGVyMjI=", "signed with whsec_***"),
        ("hash scrypt:32768:8:1$salt$hunter22", "hash scrypt:***"),
        ("the word is xyzzy-plugh-2", "the word is ***"),
    ],
)
def test_a_secret_is_masked(text: str, masked: str) -> None:
    assert Masks(["xyzzy-plugh", "", "of", "xyzzy-plugh-2"])(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "Lease lost: the token of job 7 is another",
        "No password is set. See http://localhost:8000/a@b",
        "SECRET_KEY: must have at least 32 characters.",
        "POST /api/process_query 200 1.2 ms",
        "rcpt to <ann@example.com>: 550 5.1.1 unknown",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert Masks(["", "of"])(text) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part", ["password", "token-", "://a:", "a-", 'secret="\\', "mr_0123abcd_"]
)
def test_a_stranger_s_text_can_not_make_it_slow(part: str) -> None:
    """Each pattern is linear; a quadratic one would take hours."""
    assert Masks(["xyzzy-plugh"])(part * 200_000)


_PIECES = (
    *("mr_0123abcd_", "9f9f9f", "WHSEC_", "whsec_aGk=", "scrypt:1:2:3$", "s", "://", "ann:pw", "@"),
    *("Authorization", "cookie", ": ", "=", "password", "PassWord", "passphrase", "secret", "x"),
    *("token", "credential", "api", "private", "key", "_", "-", '"', "'", " ", "\n", "hunter22"),
)


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
def test_a_line_is_only_passed_over_where_no_pattern_finds_anything(text: str) -> None:
    """A text that is not ASCII is always looked through."""
    assert Masks()(f"é\n{text}") == f"é\n{Masks()(text)}"
