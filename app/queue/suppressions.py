"""The suppression list: addresses to which no mail is sent any more, since one bounced for good."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.keys import Keys
from app.queue.text import clean_text

REASON_MAX_CHARS = 500
USUAL_REASON = "Put there by hand."
_SCANNED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Suppression:
    """One address and why nothing is sent to it. `at` is seconds since the epoch."""

    address: str
    reason: str
    at: float
    by: str  # who put it there
    code: int | None = None  # the server's reply code, where a mail bounced
    job_id: int | None = None  # of that mail


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    total: int  # how many match
    found: list[Suppression]


def normalised(address: str) -> str:
    """The address as the list knows it: upper and lower case are one, in both its parts.

    It must come validated (`app.mail.addresses`): then a domain in its ASCII form, `xn--…`, is in
    Unicode already, so that both spellings are one.
    """
    return address.lower()


class Suppressions:
    """The list behind one key prefix. Everything raises QueueUnavailable."""

    def __init__(self, client: redis.Redis, *, prefix: str = "") -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        keys = Keys(prefix)
        self._entries, self._times = keys.suppressions, keys.suppression_times

    def find(self, addresses: Iterable[str]) -> dict[str, Suppression]:
        """Those of the addresses that are on the list, in one command."""
        asked = list(dict.fromkeys(addresses))
        if not asked:
            return {}
        with self._asking():
            found = self._client.hmget(self._entries, [normalised(address) for address in asked])
        pairs = zip(asked, found, strict=True)
        return {address: _read(address, entry) for address, entry in pairs if entry}

    def add(self, entry: Suppression) -> bool:
        """Puts an address on the list, or gives it another reason. False: it was there already."""
        address = normalised(entry.address)
        fields = asdict(entry) | {"reason": clean_text(entry.reason)[:REASON_MAX_CHARS]}
        del fields["address"]
        with self._asking(), self._client.pipeline(transaction=True) as both:
            both.hset(self._entries, address, json.dumps(fields))
            both.zadd(self._times, {address: entry.at})
            is_new, _ = both.execute()
        return bool(is_new)

    def remove(self, address: str) -> bool:
        """Takes an address off the list. False: it was not there."""
        address = normalised(address)
        with self._asking(), self._client.pipeline(transaction=True) as both:
            both.hdel(self._entries, address)
            both.zrem(self._times, address)
            was_there, _ = both.execute()
        return bool(was_there)

    def page(self, q: str | None = None, *, page: int = 1, limit: int = 50) -> SuppressionPage:
        """Newest first; with `q`, the addresses that contain it."""
        first = (page - 1) * limit
        if q:
            matching = self._matching(q)
            return SuppressionPage(len(matching), self._read(matching[first : first + limit]))
        with unavailable_as_queue_error():
            total = self._client.zcard(self._times)
            addresses = self._client.zrevrange(self._times, first, first + limit - 1)
        return SuppressionPage(total, self._read(addresses))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with unavailable_as_queue_error():
            try:
                yield
            except Exception:
                raise
            except BaseException:
                # A job's thread was interrupted: the answer to its question may still come, and
                # whoever gets the connection next would take it for his own.
                self._client.connection_pool.disconnect(inuse_connections=False)
                raise

    def _matching(self, q: str) -> list[str]:
        pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in normalised(q.strip()))
        with unavailable_as_queue_error():
            # A scan may answer an entry twice.
            times: dict[str, float] = dict(
                self._client.zscan_iter(self._times, f"*{pattern}*", _SCANNED_AT_ONCE)
            )
        return sorted(times, key=lambda address: (times[address], address), reverse=True)

    def _read(self, addresses: list[str]) -> list[Suppression]:
        return list(self.find(addresses).values())


def _read(address: str, entry: str) -> Suppression:
    return Suppression(normalised(address), **json.loads(entry))
