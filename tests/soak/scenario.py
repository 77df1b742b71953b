"""Scenarios come in two sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

LONG_SECONDS = 3600


def sizes(short: Any, long: Any) -> pytest.MarkDecorator:
    """The test takes `size`: `short` in every run, `long` with `-m soak`."""
    marks = [pytest.mark.soak, pytest.mark.timeout(LONG_SECONDS)]
    cases = [pytest.param(short, id="short"), pytest.param(long, id="long", marks=marks)]
    return pytest.mark.parametrize("size", cases)


@dataclass(frozen=True, slots=True)
class Size:
    """`jobs` in all, of `seconds` each on average, and how many faults meanwhile."""

    jobs: int
    faults: int
    seconds: float
    workers: int
    concurrency: int
    lease_seconds: float
    patience_seconds: float  # a bound for the whole, so that a broken system ends the test
