"""A queue on the embedded server with real workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from app.config import Config
from app.queue.opening import Store
from tests.conftest import RedisServer
from tests.queue.invariants import check
from tests.workers.own_server import OwnServer
from tests.workers.processes import System, system_on


@pytest.fixture
def system(server: RedisServer, client: redis.Redis, tmp_path: Path) -> Iterator[System]:
    """No worker runs yet."""
    with system_on(server.url, tmp_path) as system:
        yield system


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A server that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="mailroom-test-", dir="/tmp") as folder:
        server = OwnServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def mortal_system(own_server: OwnServer, tmp_path: Path) -> Iterator[System]:
    """On `own_server`; no worker runs yet."""
    with system_on(own_server.url, tmp_path) as system:
        yield system


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Settings with their defaults, but for a short retry."""
    for name in ("MAX_RETRIES", "RETRY_BASE_SECONDS", "RETRY_MAX_SECONDS", "LEASE_SECONDS"):
        monkeypatch.delenv(name, raising=False)
    return Config.load(env_file=None)


@pytest.fixture
def open_store(
    server: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Store]]:
    """Of `server`, unless another is named, with these settings."""
    opened = []

    def open_it(url: str = server.url, **settings: str) -> Store:
        for name, value in {"REDIS_URL": url, **settings}.items():
            monkeypatch.setenv(name, value)
        opened.append(Store(Config.load(env_file=None), name="tests", timeout_seconds=30))
        opened[-1].queue.ensure_schema()
        return opened[-1]

    yield open_it
    for store in opened:
        store.client.close()
    check(client)
