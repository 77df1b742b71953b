from __future__ import annotations

import json

import pytest

from app.jobs.strict_json import DEPTH_MAX, NotStrictJson, loads


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "line 1, column 2"),
        (b"[1] 2", "Extra data"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "too many digits"),
        (b'{"a": 1, "b": {"to": 1, "to": 2}}', "'to' stands twice"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'"\xff"', "not UTF-8"),
        ('"ä"'.encode("utf-16"), "not UTF-8"),
        ("\ufeff{}".encode(), "Expecting value"),
        (b'"a\nb"', "control character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "nested too deeply"),
    ],
)
def test_what_other_parsers_would_read_otherwise_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(NotStrictJson, match=reason):
        loads(text)


@pytest.mark.parametrize(
    "value",
    [
        {"to": ["a@example.com"], "n": -1.5e10, "none": None, "emoji": "😀", "nul": "\0"},
        [[], {}, [{}]] * 50,
        json.loads("[" * DEPTH_MAX + "]" * DEPTH_MAX),
    ],
)
def test_json_is_read_as_json_reads_it(value: object) -> None:
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value
