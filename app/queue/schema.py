"""Which layout the store has, how an older one becomes this one, and whose a shard is.

`Meta` holds the number as `schema`; a store without it was made before 0.1.0 and has layout 1, or,
where its buckets have names of the first drafts, layout 0. A change that older code could not live
with (a key renamed, an index more) raises `SCHEMA` and adds a step; fields and keys that older code
ignores do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.keys import Keys
from app.queue.repairing import Repair
from app.queue.scripts import Scripts
from app.queue.worker_info import WORKER_ALIVE_SECONDS

SCHEMA = 1
# Of records that are in no queue though they should be; those that are keep their rank.
_HEAD_START_MS = 3_600_000

# From which schema → what makes the next of it. A step may be killed at any instant and then runs
# again from its start, so it must bear that; it goes over the store in steps that keep the server
# shortly, and nothing else works on the store meanwhile.
Step = Callable[[redis.Redis, Keys], None]


def _write_indexes_anew(client: redis.Redis, keys: Keys) -> None:
    """0 → 1: a repair makes the indexes of today from the records, and takes out the others."""
    scripts = Scripts(client, keys.jobs)
    steps = Repair(
        client, keys, scripts, head_start_ms=_HEAD_START_MS, search="1", dry_run=False
    ).steps()
    for _ in steps:
        pass


STEPS: Mapping[int, Step] = {0: _write_indexes_anew}

# A number more than today's status:job_type:priority:stage.
_DRAFT_BUCKET = re.compile(r":(high|low):\d+:\d+\Z")

UPGRADE_LOCK_SECONDS = 3600
COPYING = "copying"  # in `Meta`, of a store into which another is copied


class UpgradeNeeded(ServerUnsuitable):
    """The store has an older layout than this code."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"The store has schema {found}, this version needs {SCHEMA}. Stop every API and "
            "worker, make a backup, and run `flask queue upgrade` (`make run` does it by itself)."
        )
        self.found = found


def check_schema(client: redis.Redis, keys: Keys) -> None:
    """Marks a store that has no number yet.

    Raises UpgradeNeeded, ServerUnsuitable when the store is of a newer version or half copied,
    QueueUnavailable.
    """
    found = _schema(client, keys)
    with unavailable_as_queue_error():
        half = client.hexists(keys.meta, COPYING)
    if half:
        raise ServerUnsuitable(
            "Another store is being copied here, or that was broken off: `flask queue copy` again "
            "begins it anew."
        )
    if found > SCHEMA:
        raise ServerUnsuitable(
            f"The store was written by a newer version (schema {found}; this one knows {SCHEMA}). "
            "Run that version, or restore a backup made before the upgrade."
        )
    if found < SCHEMA:
        raise UpgradeNeeded(found)


def check_home(client: redis.Redis, keys: Keys, prefix: str) -> None:
    """Marks a shard as one of the store whose home has that prefix; home itself has no mark.

    Raises ServerUnsuitable when it is a shard of another store, QueueUnavailable.
    """
    with unavailable_as_queue_error():
        found: Any = client.hget(keys.meta, "home")
        if found is None and keys.prefix != prefix:
            _mark(client, keys, "home", prefix)
            found = client.hget(keys.meta, "home")
    if found not in (None, prefix):
        raise ServerUnsuitable(
            f'KEY_PREFIX: with "{prefix}" the keys behind "{keys.prefix}" would be those of two '
            f'stores. They are a shard of the one whose KEY_PREFIX is "{found}". Set one that '
            "differs by more than {mr0}."
        )


def upgrade(client: redis.Redis, keys: Keys, steps: Mapping[int, Step] = STEPS) -> list[int]:
    """Takes an older store to this layout; returns the schemas it passed, none when it had it.

    Raises ServerUnsuitable while workers are alive, or another upgrade runs, QueueUnavailable.
    """
    target = max((SCHEMA, *(number + 1 for number in steps)))
    passed: list[int] = []
    if _schema(client, keys) >= target:
        return passed
    with unavailable_as_queue_error():
        refuse_while_in_use(client, keys, "the upgrade")
        lock = f"{keys.meta}:upgrade"
        if not client.set(lock, "1", nx=True, ex=UPGRADE_LOCK_SECONDS):
            raise ServerUnsuitable(
                "Another upgrade of this store runs. If it was killed, its mark goes within "
                f"{UPGRADE_LOCK_SECONDS // 60} minutes, or with DEL {lock}."
            )
        try:
            while (found := _schema(client, keys)) < target:
                steps[found](client, keys)
                client.hset(keys.meta, "schema", found + 1)
                passed.append(found + 1)
        finally:
            client.delete(lock)
    return passed


def _schema(client: Any, keys: Keys) -> int:
    with unavailable_as_queue_error():
        found = client.hget(keys.meta, "schema")
        if found is None:
            found = _unmarked(client, keys)
            _mark(client, keys, "schema", str(found))
    return int(found)


def _unmarked(client: Any, keys: Keys) -> int:
    """The layout of a store without a number."""
    if not client.exists(keys.counter):
        return SCHEMA  # nothing was ever submitted
    bucket = client.srandmember(keys.buckets)
    return 0 if bucket and _DRAFT_BUCKET.search(bucket) else 1


def _mark(client: Any, keys: Keys, name: str, value: str) -> None:
    try:
        with unavailable_as_queue_error():
            client.hsetnx(keys.meta, name, value)
    except QueueUnavailable:
        # Full, or a replica: that must not keep workers from what is there. The next one marks it.
        pass


def refuse_while_in_use(client: Any, keys: Keys, before: str) -> None:
    """Raises ServerUnsuitable when workers are alive."""
    seconds, _ = client.time()
    since_ms = (int(seconds) - WORKER_ALIVE_SECONDS) * 1000
    alive = client.zcount(keys.workers, since_ms, "+inf")
    if alive:
        raise ServerUnsuitable(
            f"{alive} workers spoke to this store in the last {WORKER_ALIVE_SECONDS} seconds. Stop "
            f"all of them, and the APIs, before {before}."
        )
