"""Repair: the whole store in small steps, each one script that mends what contradicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.keys import Keys
from app.queue.scripts import Scripts

NAMES_AT_ONCE = 250

_SORTED_SETS = re.compile(
    r"Mail_queue|Retry_queue|Scheduled_queue|Processing|Tags|Find"
    r"|(Index|Picked|Completed|Retries|Tag):.*",
    re.DOTALL,
)
_COUNTERS = re.compile(r"Stats(:\d+)?")


@dataclass(frozen=True, slots=True)
class RepairStep:
    """A line for each thing mended or found, and how many entries were looked at so far."""

    lines: list[str]
    looked_at: int


class Repair:
    """The steps over one store: first what records are written anew from, then the records, then
    what is judged by them."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        scripts: Scripts,
        *,
        head_start_ms: int,
        search: str,
        dry_run: bool,
    ) -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = keys
        self._scripts = scripts
        self._options = (head_start_ms, search)
        self._dry_run = "1" if dry_run else "0"
        self._looked_at = 0

    def steps(self) -> Iterator[RepairStep]:
        keys = self._keys
        names = self._names()
        indexes = sorted(name for name in names if name.startswith(keys.index("")))
        for first in range(0, len(indexes), NAMES_AT_ONCE):
            yield self._step("names", *indexes[first : first + NAMES_AT_ONCE])[1]
        for key in (keys.attempts, keys.summaries):
            yield from self._scan("fields", key)
        yield from self._scan("records", *self._options)
        yield from self._scan("payloads", *self._options)
        for key in sorted(name for name in names if self._is(_SORTED_SETS, name)):
            yield from self._scan("entries", key)
        # Last: they are judged by the indexes.
        for key in sorted({keys.stats, *(name for name in names if self._is(_COUNTERS, name))}):
            yield from self._scan("counters", key)

    def _names(self) -> set[str]:
        """The sorted sets and counters there are. One look at the names of all keys."""
        escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in self._keys.prefix)
        with unavailable_as_queue_error():
            found = self._client.scan_iter(f"{escaped}*", 1000)
            return {n for n in found if self._is(_SORTED_SETS, n) or self._is(_COUNTERS, n)}

    def _is(self, pattern: re.Pattern[str], name: str) -> bool:
        return pattern.fullmatch(name.removeprefix(self._keys.prefix)) is not None

    def _scan(self, mode: str, *arguments: Any) -> Iterator[RepairStep]:
        cursor = "0"
        while True:
            cursor, step = self._step(mode, cursor, *arguments)
            yield step
            if cursor == "0":
                return

    def _step(self, mode: str, *arguments: Any) -> tuple[str, RepairStep]:
        cursor, lines, looked_at = self._scripts.call("repair", self._dry_run, mode, *arguments)
        self._looked_at += looked_at
        return cursor, RepairStep(lines, self._looked_at)


def repair_size(client: redis.Redis, keys: Keys) -> int:
    """About how many entries a repair looks at: each job is in some hashes and sets."""
    hashes = (keys.jobs, keys.payloads, keys.attempts, keys.summaries)
    with unavailable_as_queue_error(), client.pipeline(False) as pipe:
        for key in hashes:
            pipe.hlen(key)
        sizes: list[int] = pipe.execute()
    return 4 * sizes[0] + sum(sizes[1:])
