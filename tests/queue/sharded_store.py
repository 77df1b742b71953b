"""Four shards behind four prefixes of one server, with ids that name their shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from app.queue.inspector import Inspector
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.operations import Operations
from app.queue.scripts import script_source
from app.queue.sharded_inspector import ShardedInspector
from app.queue.sharded_operations import ShardedOperations
from app.queue.submission import NewJob

SHARDS = 4


def prefix_of(shard: int) -> str:
    return f"{{mr{shard}}}"


def shard_of(job_id: int) -> int:
    return job_id % SHARDS


@dataclass(frozen=True)
class Sharded:
    """A queue, an inspector and operations for each shard, and what stands in front of these."""

    queues: list[JobQueue]
    inspectors: list[Inspector]
    inspector: ShardedInspector
    parts: list[Operations]
    operations: ShardedOperations
    client: redis.Redis

    def submit(self, shard: int, *jobs: NewJob) -> list[int]:
        """Submits jobs to one shard, which counts in steps."""
        ids = []
        counter = Keys(prefix_of(shard)).counter
        for job in jobs:
            last = int(self.client.get(counter) or shard)  # type: ignore[arg-type]
            self.client.set(counter, last + SHARDS - 1)
            [answer] = self.queues[shard].submit_many([job])
            ids.append(answer.job_id)  # type: ignore[union-attr]
        return ids

    def run_operations(self) -> None:
        for queue in self.queues:
            for _ in range(1000):
                if not queue.operate():
                    break
            else:
                raise AssertionError("the operation does not end")


def open_shards(client: redis.Redis, source: Callable[[str], str] = script_source) -> Sharded:
    shared: list[dict[str, Any]] = [
        {"prefix": prefix_of(shard), "source": source} for shard in range(SHARDS)
    ]
    inspectors = [Inspector(client, **options) for options in shared]
    parts = [Operations(client, **options) for options in shared]
    return Sharded(
        [JobQueue(client, **options) for options in shared],
        inspectors,
        ShardedInspector(inspectors, shard_of),
        parts,
        ShardedOperations(parts),
        client,
    )
