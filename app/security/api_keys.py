"""API keys: who may call the API, and for what. Redis holds their hashes, never the keys.

A key is `mr_<id>_<secret>`. Knowing one means having been shown it when it was made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.keys import Keys
from app.queue.text import clean_text

SCOPES = ("submit", "read", "admin")
NAME_MAX_CHARS = 100
SENDERS_MAX = 100
QUOTA_MAX = 10**9
# A revoked key stops working everywhere within this time.
STALE_AFTER_SECONDS = 2.0
# Writing down each use would cost a call a request.
USE_NOTED_EVERY_SECONDS = 60.0

_ID_BYTES = 4
_SECRET_BYTES = 32
_KEY = re.compile(r"mr_([0-9a-f]{8})_[0-9a-f]{64}")
_SENDER = re.compile(r"[^\s@,<>]*@?[^\s@,<>]+")


class ApiKeyNotFound(LookupError):
    """No API key has this id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"There is no API key {key_id[:40]!r}.")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key. Times are seconds since the epoch.

    `senders`: addresses and domains that its mails may come from; empty: all. `daily_quota`: jobs
    it may submit in a day (UTC); None: any number.
    """

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    senders: tuple[str, ...]
    daily_quota: int | None
    created_at: float
    created_by: str
    revoked_at: float | None = None

    def may(self, scope: str) -> bool:
        """`admin` may do everything; `submit` and `read` nothing of each other."""
        return scope in self.scopes or "admin" in self.scopes


class ApiKeys:
    """The keys behind one key prefix. Everything raises QueueUnavailable, ServerUnsuitable.

    `find` answers from memory; what it answers is at most STALE_AFTER_SECONDS old.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = Keys(prefix)
        self._clock = clock
        self._known: dict[str, ApiKey] = {}
        self._version: str | None = None
        self._any_made = False
        self._fresh_until = float("-inf")
        self._noted_at: dict[str, float] = {}

    # What people do.

    def create(
        self,
        name: str,
        *,
        scopes: Iterable[str] = ("submit",),
        senders: Iterable[str] = (),
        daily_quota: int | None = None,
        by: str,
        now: float,
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which nothing can show again. Raises ValueError."""
        key_id = secrets.token_hex(_ID_BYTES)
        text = _new_text(key_id)
        key = ApiKey(
            id=key_id,
            name=_name(name),
            sha256=_digest(text),
            scopes=_scopes(scopes),
            senders=_senders(senders),
            daily_quota=_quota(daily_quota),
            created_at=now,
            created_by=clean_text(by),
        )
        with unavailable_as_queue_error(), self._changing() as both:
            both.hset(self._keys.api_keys, key_id, _written(key))
            # Never taken back: without any key left, the API stays closed.
            both.hset(self._keys.meta, "api_keys_made", 1)
        return key, text

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """The key, which works no more. Revoked twice, the first time stays.

        Raises ApiKeyNotFound.
        """
        key = self.get(key_id)
        if key.revoked_at is not None:
            return key
        revoked = replace(key, revoked_at=now)
        with unavailable_as_queue_error(), self._changing() as both:
            both.hset(self._keys.api_keys, key_id, _written(revoked))
        return revoked

    def rotate(self, key_id: str, *, by: str, now: float) -> tuple[ApiKey, str]:
        """A new key with the old one's name and rights; the old one works until it is revoked.

        Raises ApiKeyNotFound, ValueError when the old one is revoked.
        """
        old = self.get(key_id)
        if old.revoked_at is not None:
            raise ValueError(f"API key {key_id} is revoked. Make a new one.")
        return self.create(
            old.name,
            scopes=old.scopes,
            senders=old.senders,
            daily_quota=old.daily_quota,
            by=by,
            now=now,
        )

    def get(self, key_id: str) -> ApiKey:
        """Raises ApiKeyNotFound."""
        with unavailable_as_queue_error():
            found = self._client.hget(self._keys.api_keys, key_id)
        if found is None:
            raise ApiKeyNotFound(key_id)
        return _read(found)

    def list(self) -> list[tuple[ApiKey, float | None]]:
        """All keys, newest first, revoked ones too, each with when it was last used."""
        with unavailable_as_queue_error(), self._client.pipeline(transaction=False) as both:
            both.hgetall(self._keys.api_keys)
            both.hgetall(self._keys.api_keys_used)
            found, used = both.execute()
        keys = sorted(map(_read, found.values()), key=lambda key: key.created_at, reverse=True)
        return [(key, _seconds(used.get(key.id))) for key in keys]

    # What each request asks.

    def any_made(self) -> bool:
        """Whether there ever was a key; it stays so when all are revoked."""
        self._refresh()
        return self._any_made

    def find(self, text: str) -> ApiKey | None:
        """The key with this text, unless it is revoked."""
        self._refresh()
        parts = _KEY.fullmatch(text)
        key = self._known.get(parts[1]) if parts else None
        if key is None or key.revoked_at is not None:
            return None
        return key if hmac.compare_digest(key.sha256, _digest(text)) else None

    def note_use(self, key: ApiKey, *, now: float) -> None:
        """Remembers that it was used, a minute exact."""
        last = self._noted_at.get(key.id)
        if last is not None and 0 <= now - last < USE_NOTED_EVERY_SECONDS:
            return
        self._noted_at[key.id] = now
        with unavailable_as_queue_error():
            self._client.hset(self._keys.api_keys_used, key.id, round(now * 1000))

    def _refresh(self) -> None:
        # Several threads may do it at once; waiting for each other would cost more.
        began = self._clock()
        if began < self._fresh_until:
            return
        with unavailable_as_queue_error():
            made, version = self._client.hmget(
                self._keys.meta, ["api_keys_made", "api_keys_version"]
            )
            if version != self._version:
                found = self._client.hgetall(self._keys.api_keys)
                # Read after the version: newer than it says, never older.
                self._known = {key.id: key for key in map(_read, found.values())}
                self._version = version
        self._any_made = bool(made)
        self._fresh_until = began + STALE_AFTER_SECONDS

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """A transaction that also tells every process to look again."""
        with self._client.pipeline(transaction=True) as both:
            yield both
            # Random, so that no restored backup has a version that somebody knows already.
            both.hset(self._keys.meta, "api_keys_version", secrets.token_hex(8))
            both.execute()
        self._fresh_until = float("-inf")


def _new_text(key_id: str) -> str:
    return f"mr_{key_id}_{secrets.token_hex(_SECRET_BYTES)}"


def _digest(text: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(text.encode()).hexdigest()


def _written(key: ApiKey) -> str:
    return json.dumps(asdict(key))


def _read(text: str) -> ApiKey:
    fields = json.loads(text)
    return ApiKey(
        **fields | {"scopes": tuple(fields["scopes"]), "senders": tuple(fields["senders"])}
    )


def _name(name: str) -> str:
    found = clean_text(name)
    if not 1 <= len(found) <= NAME_MAX_CHARS:
        raise ValueError(f"name: must have 1 to {NAME_MAX_CHARS} characters.")
    return found


def _scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    asked = set(scopes)
    if not asked or not asked <= set(SCOPES):
        raise ValueError(f"scope: must be some of {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in asked)


def _senders(senders: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(sender.strip().casefold() for sender in senders))
    if len(found) > SENDERS_MAX:
        raise ValueError(f"sender: at most {SENDERS_MAX} are allowed.")
    for sender in found:
        if not _SENDER.fullmatch(sender):
            raise ValueError(f"sender: {sender[:100]!r} is not an address or a domain.")
    return found


def _quota(quota: int | None) -> int | None:
    if quota is not None and not 1 <= quota <= QUOTA_MAX:
        raise ValueError(f"daily quota: must be a whole number from 1 to {QUOTA_MAX}.")
    return quota


def _seconds(ms: str | None) -> float | None:
    return None if ms is None else int(ms) / 1000
