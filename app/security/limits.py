"""How much a caller may ask for: requests of an API key, jobs in a day, tries to log in.

The counters are in Redis, so that they hold for all processes together.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import QueueError
from app.queue.keys import Keys
from app.security.api_keys import ApiKey
from app.security.refusals import TooMany

LOGIN_TRIES = 5
LOGIN_WINDOW_SECONDS = 60
# A process takes requests from Redis in shares of this part of the limit: so most requests ask
# nobody, and what a process has left over at the window's end is small.
_SHARES = 50
_ADDRESSES_REMEMBERED = 10_000
_DAY_SECONDS = 86_400


@dataclass(slots=True)
class _Window:
    number: int
    left: int
    used_up: bool = False


class RequestRate:
    """At most `limit` requests of each API key in each window of `seconds`, fixed windows.

    Never more; fewer by at most 2 % for each process that is not the one asking.
    Raises QueueUnavailable.
    """

    def __init__(
        self, client: redis.Redis, rate: tuple[int, int] | None, *, prefix: str = ""
    ) -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = Keys(prefix)
        self._limit, self._seconds = rate or (0, 1)
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()

    def count(self, key: ApiKey, *, now: float) -> None:
        """Counts one request. Raises TooMany."""
        if not self._limit:
            return
        number = int(now // self._seconds)
        with self._lock:
            window = self._windows.get(key.id)
            if window is None or window.number != number:
                window = self._windows[key.id] = _Window(number, 0)
            if window.left:
                window.left -= 1
                return
            is_used_up = window.used_up
        if not is_used_up:
            granted = self._take_share(key.id, number)
            with self._lock:
                window.used_up = not granted
                window.left += max(0, granted - 1)
            if granted:
                return
        raise TooMany(
            f"The API key may make {self._limit} requests in {self._seconds} s (API_RATE_LIMIT)",
            (number + 1) * self._seconds - now,
        )

    def _take_share(self, key_id: str, number: int) -> int:
        share = max(1, self._limit // _SHARES)
        name = self._keys.request_rate(key_id, number)
        with unavailable_as_queue_error(), self._client.pipeline(transaction=True) as both:
            both.incrby(name, share)
            both.expire(name, 2 * self._seconds)
            taken, _ = both.execute()
        return max(0, min(share, self._limit - (int(taken) - share)))


class DailyQuota:
    """The jobs that an API key submits on a day, from midnight to midnight UTC."""

    def __init__(self, client: redis.Redis, *, prefix: str = "") -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = Keys(prefix)

    @contextmanager
    def charged(self, key: ApiKey | None, jobs: int, *, now: float) -> Iterator[list[int]]:
        """Counts `jobs` against the key's quota; inside, they are submitted.

        What is appended to the yielded list is given back: jobs that were not new after all.
        When the submission fails, all are. Raises TooMany, QueueUnavailable.
        """
        not_new: list[int] = []
        if key is None or key.daily_quota is None or not jobs:
            yield not_new
            return
        name = self._keys.quota(datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d"))
        submitted = self._add(name, key.id, jobs)
        if submitted > key.daily_quota:
            self._give_back(name, key.id, jobs)
            left = max(0, key.daily_quota - (submitted - jobs))
            raise TooMany(
                f"The API key may submit {key.daily_quota} jobs a day (UTC); {left} are left",
                _DAY_SECONDS - now % _DAY_SECONDS,
            )
        try:
            yield not_new
        except BaseException:
            self._give_back(name, key.id, jobs)
            raise
        if not_new:
            self._give_back(name, key.id, sum(not_new))

    def _add(self, name: str, key_id: str, jobs: int) -> int:
        with unavailable_as_queue_error(), self._client.pipeline(transaction=True) as both:
            both.hincrby(name, key_id, jobs)
            both.expire(name, 2 * _DAY_SECONDS)
            return int(both.execute()[0])

    def _give_back(self, name: str, key_id: str, jobs: int) -> None:
        try:
            self._add(name, key_id, -jobs)
        except QueueError:
            return  # what was counted too much costs a few jobs; what was done stands


class LoginThrottle:
    """LOGIN_TRIES tries in LOGIN_WINDOW_SECONDS from an address; without Redis each process counts
    for itself. All tries count until one succeeds."""

    def __init__(self, client: redis.Redis, *, prefix: str = "") -> None:
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._keys = Keys(prefix)
        self._own: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def count(self, address: str) -> int:
        """Counts a try. The seconds to wait first, or 0: it may be made."""
        name = self._name(address)
        try:
            with unavailable_as_queue_error(), self._client.pipeline(transaction=True) as both:
                both.set(name, 0, ex=LOGIN_WINDOW_SECONDS, nx=True)
                both.incr(name)
                both.ttl(name)
                _, tries, seconds = both.execute()
        except QueueError:
            tries, seconds = self._count_here(name)
        return max(1, int(seconds)) if int(tries) > LOGIN_TRIES else 0

    def succeeded(self, address: str) -> None:
        name = self._name(address)
        with self._lock:
            self._own.pop(name, None)
        try:
            with unavailable_as_queue_error():
                self._client.delete(name)
        except QueueError:
            return

    def _count_here(self, name: str) -> tuple[int, int]:
        now = time.monotonic()
        with self._lock:
            if len(self._own) >= _ADDRESSES_REMEMBERED:
                fresh = now - LOGIN_WINDOW_SECONDS
                self._own = {one: own for one, own in self._own.items() if own[0] > fresh}
            began, tries = self._own.get(name, (now, 0))
            if now - began >= LOGIN_WINDOW_SECONDS:
                began, tries = now, 0
            self._own[name] = began, tries + 1
        return tries + 1, int(LOGIN_WINDOW_SECONDS - (now - began))

    def _name(self, address: str) -> str:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return self._keys.login_tries(hashlib.sha256(address.encode()).hexdigest()[:16])
        if found.version == 6 and not found.ipv4_mapped:
            # Whoever has one IPv6 address has 2^64 of them.
            found = ipaddress.ip_network(f"{found.exploded.partition('%')[0]}/64", False)[0]
        return self._keys.login_tries(str(found))
