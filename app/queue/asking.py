"""Asks all shards the same thing, at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

T = TypeVar("T")

THREADS_MAX = 32


def ask(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The answers, in order. Raises what a call raises, when all have ended."""
    # The first is asked from here: one thread less to wake.
    others = [_threads().submit(call) for call in calls[1:]]
    try:
        first = [call() for call in calls[:1]]
    finally:
        wait(others)
    return first + [other.result() for other in others]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="shard")


# Threads do not live on in a process that is forked.
os.register_at_fork(after_in_child=_threads.cache_clear)
