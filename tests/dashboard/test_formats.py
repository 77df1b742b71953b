from __future__ import annotations

import pytest

from app.dashboard.formats import ago, iso, label, number


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (-90, "in 1 min")],
)
def test_a_moment_is_shown_as_its_distance(distance: float, text: str) -> None:
    assert ago(1_000_000 - distance, 1_000_000) == text


def test_names_times_and_numbers_are_written_for_people() -> None:
    assert iso(1_748_783_995.842) == "2025-06-01T13:19:55Z"
    assert label("permanently_failed") == "Permanently failed"
    assert number(1_000_000) == "1,000,000"
