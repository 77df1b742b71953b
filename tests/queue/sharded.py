"""A queue over several shards, all of them on one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from app.queue.jobqueue import JobQueue
from app.queue.layout import shard_prefix
from app.queue.scripts import script_source
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.shards import Shards
from tests.queue.invariants import Record, check

AwayShards = set[int]


def sharded(
    client: redis.Redis,
    shards: int = 1,
    *,
    prefix: str = "",
    source: Callable[[str], str] = script_source,
    clients: dict[int, redis.Redis] | None = None,
    **options: Any,
) -> ShardedJobQueue:
    """A process's own view of the store. `prefix` is home's; `clients` are those of shards that
    have another one."""
    own = clients or {}

    def open_shard(number: int) -> JobQueue:
        own_prefix = shard_prefix(prefix, number)
        return JobQueue(own.get(number, client), prefix=own_prefix, source=source, **options)

    queue = ShardedJobQueue(Shards(open_shard, shards))
    queue.ensure_schema()
    return queue


def check_shards(client: redis.Redis, queue: ShardedJobQueue, **options: Any) -> dict[int, Record]:
    """Asserts the invariants of every shard, and that each job lies where its id says."""
    prefixes = [part.keys.prefix for part in queue.parts()]
    names = set(client.scan_iter(count=1000))
    found: dict[int, Record] = {}
    for number, prefix in enumerate(prefixes):
        others = {name for name in names if not _is_behind(name, prefix, prefixes)}
        records = check(client, prefix, others=frozenset(others), **options)
        astray = [job_id for job_id in records if queue.shards.layout.shard_of(job_id) != number]
        assert not astray, f"jobs {astray} are in shard {number}"
        found |= records
    return found


def _is_behind(name: str, prefix: str, prefixes: list[str]) -> bool:
    """Home's prefix is empty: its keys are those of no other shard."""
    if prefix:
        return name.startswith(prefix)
    return not any(name.startswith(other) for other in prefixes if other)
