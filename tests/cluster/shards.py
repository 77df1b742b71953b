"""Four shards on a cluster, their workers, and what is to be seen of them without a reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.config import Config
from app.queue.inspector import Inspector
from app.queue.opening import Store
from app.queue.sharded_jobqueue import ShardedJobQueue
from tests.cluster.servers import Cluster
from tests.workers.processes import SETTINGS, System, WorkerProcess, system_on, wait_until

SHARDS = 4
HOME = "{mr0}"
LEASE_SECONDS = 4.0


class ShardedSystem:
    def __init__(
        self, cluster: Cluster, system: System, durability: str, shards: int = SHARDS
    ) -> None:
        self.cluster = cluster
        self.system = system
        self.settings = {
            "REDIS_URL": "",
            "REDIS_CLUSTER": cluster.url.partition("://")[2],
            "QUEUE_SHARDS": str(shards),
            "DURABILITY": durability,
            "LEASE_SECONDS": f"{LEASE_SECONDS:g}",
        }
        self.store = self.open()
        self.queue: ShardedJobQueue = self.store.queue

    def open(self, **changes: Any) -> Store:
        """The store as another process sees it."""
        config = replace(
            Config.load(env_file=None),
            redis_cluster=tuple(self.settings["REDIS_CLUSTER"].split(",")),
            queue_shards=int(self.settings["QUEUE_SHARDS"]),
            key_prefix=HOME,
            durability=self.settings["DURABILITY"],
            lease_seconds=LEASE_SECONDS,
            **changes,
        )
        store = Store(config, name="tests", timeout_seconds=10, connect_timeout_seconds=5)
        store.queue.ensure_schema()
        return store

    def start(self, module: str = "workers.main_worker", **settings: str) -> WorkerProcess:
        """Returns when it can be stopped in order."""
        worker = self.system.start(module, **(SETTINGS | self.settings | settings))
        wait_until(lambda: " started" in worker.log(), "the worker started")
        return worker

    def statuses(self) -> Counter[str]:
        """How many jobs are in each status, in the shards that are there."""
        found: Counter[str] = Counter()
        for part in self.queue.parts():
            found.update(self.statuses_at(part.keys.prefix))
        return found

    def statuses_at(self, prefix: str) -> dict[str, int]:
        number = [part.keys.prefix for part in self.queue.parts()].index(prefix)
        inspector = Inspector(self.store.client_of(number), prefix=prefix)
        return {status.value: count for status, count in inspector.counts().items() if count}

    def logs(self) -> str:
        return "\n".join(worker.log() for worker in self.system.workers)


@contextmanager
def sharded_system(
    cluster: Cluster, folder: Path, durability: str = "local", shards: int = SHARDS
) -> Iterator[ShardedSystem]:
    with system_on(cluster.url, folder) as system:
        found = ShardedSystem(cluster, system, durability, shards)
        yield found
        found.store.close()
