"""Takes a whole store to another server, or behind another prefix: from one server to a cluster.

Kind by kind and in small steps, not as dumps: the servers may be of different versions, and neither
is kept from anybody else for long. Both must be unused meanwhile. A copy that was broken off leaves
a mark; nothing starts on it, and the next one begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import ServerUnsuitable
from app.queue.keys import Keys
from app.queue.layout import Layout
from app.queue.schema import COPYING, check_schema, refuse_while_in_use

STEP = 500
# Reads what is no text without a loss: for `connect(text_errors=…)` of the source.
LOSSLESS = "surrogateescape"

# What stands behind the prefix in all keys (keys.py). A server may have others as well.
_OURS = re.compile(
    r"(Mail_queue|Retry_queue|Scheduled_queue|Processing|Buckets|Tags|Find|Wake|Stats|Meta|Workers"
    r"|Job_(map|payload|summary|attempts)|(query|operation):id:counter|Operations|Audit"
    r"|Suppressions|Api_keys|Unreadable)\Z"
    r"|(Completed|Index|Picked|Retries|Tag|Idem|Call|Wake|Stats|Worker|Rate|Operations?|Suppressions"
    r"|Api_keys|Quota|Requests|Login):"
)

# What API and workers leave behind in a store where nothing was ever done.
_OF_NO_WORTH = re.compile(r"(Meta|Workers|Wake)\Z|(Wake|Worker|Call|Login|Requests):")


def copy_store(
    source: redis.Redis, source_keys: Keys, target: redis.Redis, keys: Keys
) -> Iterator[int]:
    """Yields how many entries each step copied.

    Raises ServerUnsuitable when there is no store, one of several shards, or one that is in use,
    or the target is not empty; QueueUnavailable, after which the same may be done again.
    """
    with unavailable_as_queue_error():
        before = _state(source, source_keys)
        if before is None:
            raise ServerUnsuitable("There is no store with jobs there, behind that prefix.")
        check_schema(source, source_keys)
        refuse_while_in_use(source, source_keys, "it is copied")
        shards = Layout.from_text(source.hget(source_keys.meta, "layout")).shards  # type: ignore[arg-type]
        if shards > 1:
            raise ServerUnsuitable(f"The store has {shards} shards; one with one can be copied.")
        _begin(target, keys)
        prefix = len(source_keys.prefix)
        for name in names_of(source, source_keys):
            if name != source_keys.meta:
                yield from _copy_key(source, name, target, keys.prefix + name[prefix:])
        if _state(source, source_keys) != before:
            raise ServerUnsuitable(
                "The store was used while it was copied. Stop every API and worker of it, and copy "
                "again: what was copied is begun anew."
            )
        yield from _copy_key(source, source_keys.meta, target, keys.meta)
        target.hdel(keys.meta, COPYING)


def names_of(client: redis.Redis, keys: Keys) -> Iterator[str]:
    """All keys of the store, some perhaps twice."""
    pattern = re.sub(r"([\[\]*?^\\-])", r"\\\1", keys.prefix) + "*"
    for name in client.scan_iter(match=pattern, count=STEP):
        if _OURS.match(name, len(keys.prefix)):
            yield name


def _state(client: Any, keys: Keys) -> tuple[Any, ...] | None:
    """What differs after any use of the store; None: nothing was ever submitted."""
    last_id = client.get(keys.counter)
    if last_id is None:
        return None
    return (last_id, *client.hmget(keys.meta, "revision", "promoted_at", "reaped_at"))


def _begin(target: Any, keys: Keys) -> None:
    """Leaves nothing there but the mark. Raises ServerUnsuitable."""
    if not target.hexists(keys.meta, COPYING):
        refuse_while_in_use(target, keys, "another is copied there")
        if Layout.from_text(target.hget(keys.meta, "layout")).shards > 1:
            raise ServerUnsuitable(
                "The store that is to be filled has several shards already. Fill one with "
                "QUEUE_SHARDS=1, on a server that has none; shards are added afterwards."
            )
        for name in names_of(target, keys):
            if not _OF_NO_WORTH.match(name, len(keys.prefix)):
                raise ServerUnsuitable(
                    f"The store that is to be filled is not empty: there is {name}. Fill another, "
                    "with another KEY_PREFIX or on another server."
                )
        target.hset(keys.meta, COPYING, "1")
    for name in set(names_of(target, keys)) - {keys.meta}:
        target.unlink(_bytes(name))


def _copy_key(source: Any, name: Any, target: Any, new_name: Any) -> Iterator[int]:
    name, new_name = _bytes(name), _bytes(new_name)
    expires_ms, kind = source.pexpiretime(name), source.type(name)
    if kind == "none":  # it has expired meanwhile
        return
    read, write = _KINDS[kind]
    entries = iter(read(source, name))
    while step := list(islice(entries, STEP)):
        pipe = target.pipeline(transaction=False)
        write(pipe, new_name, step)
        pipe.execute()
        yield len(step)
    if expires_ms > 0:
        target.pexpireat(new_name, expires_ms)


def _read_string(client: Any, name: bytes) -> list[str]:
    text = client.get(name)
    return [] if text is None else [text]


def _read_stream(client: Any, name: bytes) -> Iterator[Any]:
    first = "-"
    while entries := client.xrange(name, min=first, count=STEP):
        yield from entries
        first = f"({entries[-1][0]}"


def _write_stream(pipe: Any, name: bytes, step: list[Any]) -> None:
    for entry_id, fields in step:
        pipe.xadd(name, _bytes_of(fields.items(), _bytes), id=entry_id)


def _bytes(text: str) -> bytes:
    """What the source has: redis-py can't send all that it can read."""
    return text.encode("utf-8", LOSSLESS)


def _bytes_of(pairs: Iterable[tuple[str, Any]], of_value: Callable[[Any], Any]) -> dict[bytes, Any]:
    return {_bytes(name): of_value(value) for name, value in pairs}


_Read = Callable[[Any, bytes], Any]
_Write = Callable[[Any, bytes, list[Any]], Any]
_KINDS: dict[str, tuple[_Read, _Write]] = {
    "string": (_read_string, lambda pipe, name, step: pipe.set(name, _bytes(step[0]))),
    "hash": (
        lambda client, name: client.hscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.hset(name, mapping=_bytes_of(step, _bytes)),
    ),
    "set": (
        lambda client, name: client.sscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.sadd(name, *map(_bytes, step)),
    ),
    "zset": (
        lambda client, name: client.zscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.zadd(name, _bytes_of(step, float)),
    ),
    "stream": (_read_stream, _write_stream),
}
