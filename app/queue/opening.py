"""Opens the store that the settings name: the one place that knows how many objects that takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import redis
from redis.crc import key_slot

from app.queue.cluster import is_cluster_url
from app.queue.connection import connect, unavailable_as_queue_error
from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from app.queue.layout import shard_prefix
from app.queue.operations import Operations
from app.queue.scripts import script_source
from app.queue.sharded_inspector import ShardedInspector
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.sharded_operations import ShardedOperations
from app.queue.shards import Shards


class StoreSettings(Protocol):
    """What it takes from `Config`."""

    @property
    def server_url(self) -> str: ...
    @property
    def key_prefix(self) -> str: ...
    @property
    def queue_shards(self) -> int: ...
    @property
    def search_index(self) -> bool: ...
    @property
    def replicas(self) -> int: ...
    @property
    def lease_seconds(self) -> float: ...
    @property
    def priority_head_start_seconds(self) -> float: ...


class Store:
    """The queue, and what people read of it, over all shards that the store has at the time.

    `on_change` is called when these are others than were known: then `inspector` and `operations`
    are to be made anew. `client` is home's; given from outside it serves all shards, for tests.
    """

    def __init__(
        self,
        settings: StoreSettings,
        *,
        name: str,
        on_change: Callable[[], None] = lambda: None,
        client: redis.Redis | None = None,
        source: Callable[[str], str] = script_source,
        **options: Any,
    ) -> None:
        """`options` are those of `connect`. Connects on first use."""
        self._settings = settings
        self._source = source
        self._connect = partial(connect, settings.server_url, name=name, **options)
        self._clients: dict[int, redis.Redis] = {}
        self.client = client or self._connect(slot_key=settings.key_prefix)
        self._one_server = client is not None or not is_cluster_url(settings.server_url)
        self._shards = Shards(self._open_shard, settings.queue_shards)
        self.queue = ShardedJobQueue(self._shards, on_change)

    def where(self, number: int) -> tuple[int | None, str]:
        """The slot of a shard, where the store is on a cluster, and the server that has it now."""
        prefix = shard_prefix(self._settings.key_prefix, number)
        slot = int(key_slot(prefix.encode())) if not self._one_server else None
        with unavailable_as_queue_error():
            connection: Any = self.client_of(number).connection_pool.get_connection()
        try:
            host = getattr(connection, "host", None)
            server = f"{host}:{connection.port}" if host else str(connection.path)
        finally:
            self.client_of(number).connection_pool.release(connection)
        return slot, server

    def inspector(self) -> Inspector:
        layout = self._shards.expected
        shards = [
            Inspector(self.client_of(number), **self._shared(number))
            for number in range(layout.shards)
        ]
        return shards[0] if len(shards) == 1 else ShardedInspector(shards, layout.shard_of)

    def operations(self) -> Operations:
        shards = [
            Operations(self.client_of(number), **self._shared(number))
            for number in range(self._shards.expected.shards)
        ]
        return shards[0] if len(shards) == 1 else ShardedOperations(shards)

    def close(self) -> None:
        for client in (self.client, *self._clients.values()):
            client.close()

    def _open_shard(self, number: int) -> JobQueue:
        settings = self._settings
        return JobQueue(
            self.client_of(number),
            lease_ms=round(settings.lease_seconds * 1000),
            head_start_ms=round(settings.priority_head_start_seconds * 1000),
            replicas=settings.replicas,
            **self._shared(number),
        )

    def client_of(self, number: int) -> redis.Redis:
        """The client of the server that has this shard."""
        if number == 0 or self._one_server:
            return self.client
        if number not in self._clients:
            prefix = shard_prefix(self._settings.key_prefix, number)
            self._clients[number] = self._connect(slot_key=prefix)
        return self._clients[number]

    def _shared(self, number: int) -> dict[str, Any]:
        return {
            "prefix": shard_prefix(self._settings.key_prefix, number),
            "search": self._settings.search_index,
            "source": self._source,
        }
