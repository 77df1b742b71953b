"""The audit log: who did what to which jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.keys import Keys
from app.queue.text import clean_text

ENTRIES_KEPT = 10_000
_ENTRY_ID = re.compile(r"\d{1,15}-\d{1,9}")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`at` is seconds since the epoch, by the server's clock; `id` orders the entries."""

    at: float
    who: str
    action: str
    subject: str
    id: str = ""


class Audit:
    """The newest `ENTRIES_KEPT` entries, and a few more. Raises QueueUnavailable."""

    def __init__(self, client: redis.Redis, *, prefix: str = "") -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._key = Keys(prefix).audit

    def write(self, who: str, action: str, subject: str) -> None:
        """`who` acted, `action` is what they did, `subject` what they did it to."""
        entry = {"who": who, "action": action, "subject": subject}
        with unavailable_as_queue_error():
            self._client.xadd(
                self._key,
                {name: clean_text(text) for name, text in entry.items()},
                maxlen=ENTRIES_KEPT,
                approximate=True,
            )

    def recent(self, limit: int = 100, *, before: str | None = None) -> list[AuditEntry]:
        """Newest first; with `before`, an entry's id, only what is older than that.

        Raises ValueError when `before` can't be an id.
        """
        if before is not None and not _ENTRY_ID.fullmatch(before):
            raise ValueError("before: must be the id of an entry.")
        newest = "+" if before is None else f"({before}"
        with unavailable_as_queue_error():
            entries = self._client.xrevrange(self._key, max=newest, count=limit)
        return [
            AuditEntry(int(entry_id.partition("-")[0]) / 1000, **fields, id=entry_id)
            for entry_id, fields in entries
        ]

    def count(self) -> int:
        """How many entries are kept."""
        with unavailable_as_queue_error():
            return int(self._client.xlen(self._key))
