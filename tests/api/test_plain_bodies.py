"""The usual body of a submission is read without its schema, which would say the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.schemas import Submission, is_plain, plain_fields

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["x" * 100, "x" * 101, "low", "{}"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
)
_NAMES = st.sampled_from(["job_type", "payload", "payload ", "priority", "tags", "x"])
_BODIES = st.one_of(
    st.fixed_dictionaries({"job_type": _VALUES, "payload": _VALUES}),
    st.dictionaries(_NAMES, _VALUES, max_size=3),
)


@given(_BODIES)
def test_what_is_read_without_the_schema_is_what_the_schema_reads(body: dict[str, Any]) -> None:
    if is_plain(body):
        assert plain_fields(body) == Submission().load(body)


@pytest.mark.parametrize("payload", ["{}", {"to": "ann@example.com"}])
def test_the_usual_body_is_plain(payload: Any) -> None:
    assert is_plain({"job_type": "noop", "payload": payload})


@pytest.mark.parametrize(
    "body",
    [
        {"job_type": "noop", "payload": {}, "priority": "low"},
        {"job_type": "noop"},
        {"job_type": "", "payload": {}},
        {"job_type": "x" * 101, "payload": {}},
        {"job_type": "noop", "payload": None},
    ],
)
def test_others_are_the_schema_s(body: dict[str, Any]) -> None:
    assert not is_plain(body)
