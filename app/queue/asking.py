"""Asks all shards the same thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ask(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The answers, in order. Raises what a call raises."""
    return [call() for call in calls]
