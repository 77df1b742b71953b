"""The audit log: who did what to which jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.keys import Keys
from app.queue.text import clean_text

ENTRIES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`at` is seconds since the epoch, by the server's clock."""

    at: float
    who: str
    action: str
    subject: str


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

    def recent(self, limit: int = 100) -> list[AuditEntry]:
        """Newest first."""
        with unavailable_as_queue_error():
            entries = self._client.xrevrange(self._key, count=limit)
        return [
            AuditEntry(int(entry_id.partition("-")[0]) / 1000, **fields)
            for entry_id, fields in entries
        ]
