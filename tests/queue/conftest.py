"""The queue on three servers, and a clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from app.queue.counters import DURATIONS
from app.queue.inspector import Inspector
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from tests.queue.invariants import check
from tests.queue.virtual_time import Clock, virtual_source

Source = Callable[[str], str]

VALKEY = pytest.param("client", id="valkey")
REDIS_7_0 = pytest.param("debian_client", id="redis-7.0", marks=pytest.mark.needs_redis_server)
FAKEREDIS = pytest.param("fake_client", id="fakeredis")


@pytest.fixture(params=[VALKEY, REDIS_7_0, FAKEREDIS])
def store(request: pytest.FixtureRequest) -> redis.Redis:
    """A client of an empty server; the test runs once on each kind."""
    found: redis.Redis = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def source(store: redis.Redis) -> Source:
    """The scripts as `store` takes them, with the time taken from `clock`."""
    return virtual_source(store)


@pytest.fixture
def clock(store: redis.Redis) -> Clock:
    return Clock(store)


@pytest.fixture
def make_queue(store: redis.Redis, source: Source, clock: Clock) -> Callable[..., JobQueue]:
    """`JobQueue` with the options given, on `store` and `clock`."""

    def make(**options: Any) -> JobQueue:
        return JobQueue(store, **{"source": source, **options})

    return make


@pytest.fixture
def queue(store: redis.Redis, make_queue: Callable[..., JobQueue]) -> Iterator[JobQueue]:
    """The queue with its defaults: leases of 60 s, a head start of an hour.

    After each test that passed, the invariants hold.
    """
    queue = make_queue()
    yield queue
    check(store)


@pytest.fixture
def find(store: redis.Redis, source: Source) -> Callable[[int], Job]:
    """Reads a job as people see it. Raises JobNotFound."""
    return Inspector(store, source=source).job


@pytest.fixture
def totals(store: redis.Redis, source: Source) -> Callable[[], dict[str, int]]:
    """The counters above zero since the beginning, summed over job types."""

    def read() -> dict[str, int]:
        sums: dict[str, int] = {}
        for name, count in store.hgetall("Stats").items():
            event = name.partition(":")[0]
            if event not in DURATIONS:
                sums[event] = sums.get(event, 0) + int(count)
        return sums

    return read
