"""Takes a whole store to another server, or behind another prefix: from one server to a cluster.

Kind by kind and in small steps, not as dumps: the servers may be of different versions, and neither
is kept from anybody else for long. Both must be unused meanwhile. A copy that was broken off leaves
a mark; nothing starts on it, and the next one begins anew.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis

from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import ServerUnsuitable
from app.queue.keys import Keys
from app.queue.layout import Layout
from app.queue.schema import (
    COPYING,
    SCHEMA,
    UpgradeNeeded,
    check_schema,
    refuse_while_in_use,
)

STEP = 200
_DISTURBED = (
    "The store that is to be filled was used meanwhile, or another copy into it runs. Stop every "
    "API and worker, and copy again."
)
# Reads what is no text without a loss: for `connect(text_errors=…)` of both clients.
LOSSLESS = "surrogateescape"

# What stands behind the prefix in the keys that are copied, and that a store to be filled must not
# have (keys.py). Not who is there, whom to wake, and what is remembered for seconds; and a server
# may have keys of others.
_OURS = re.compile(
    r"(Mail_queue|Retry_queue|Scheduled_queue|Processing|Buckets|Tags|Find|Stats|Meta"
    r"|Job_(map|payload|summary|attempts)|(query|operation):id:counter|Operations|Audit"
    r"|Suppressions|Api_keys|Unreadable)\Z"
    r"|(Completed|Index|Picked|Retries|Tag|Idem|Stats|Rate|Operations?|Suppressions|Api_keys|Quota):"
)


def copy_store(
    source: redis.Redis, source_keys: Keys, target: redis.Redis, keys: Keys
) -> Iterator[int]:
    """Yields how many entries each step copied.

    Raises ServerUnsuitable when there is no store, one of several shards, or one that is in use,
    or the target is not empty; QueueUnavailable, after which the same may be done again.
    """
    with unavailable_as_queue_error():
        _check_source(source, source_keys)
        before = _State.of(source, source_keys)
        copy = _Copy(source, target, keys)
        copy.begin()
        # All of them first: a key that comes twice in a scan must not be copied twice.
        for name in set(names_of(source, source_keys)) - {source_keys.meta}:
            yield from copy.key(name, keys.prefix + name[len(source_keys.prefix) :])
        if _State.of(source, source_keys) != before:
            raise ServerUnsuitable(
                "The store was used while it was copied, or its server restarted. Stop every API "
                "and worker of it, and copy again: what was copied is begun anew."
            )
        copy.end(before.meta)


def names_of(client: redis.Redis, keys: Keys) -> Iterator[str]:
    """The keys of the store that are worth copying, some perhaps twice."""
    pattern = re.sub(r"([\[\]*?^\\-])", r"\\\1", keys.prefix) + "*"
    prefix = len(keys.prefix)
    for name in client.scan_iter(match=pattern, count=STEP):
        if _OURS.match(name, prefix):
            yield name


@dataclass(frozen=True)
class _State:
    """Of the source: what differs after any use of it, and after its server restarted, by which
    a scan that was under way loses its place."""

    last_id: str
    meta: dict[str, str]
    others: tuple[Any, ...]

    @classmethod
    def of(cls, client: Any, keys: Keys) -> _State:
        others = (
            client.info("server")["run_id"],
            client.hlen(keys.suppressions),
            client.xrevrange(keys.audit, count=1),
        )
        return cls(client.get(keys.counter), client.hgetall(keys.meta), others)


def _check_source(source: Any, keys: Keys) -> None:
    if source.hexists(keys.meta, COPYING):
        raise ServerUnsuitable(
            "The store that is to be copied is half a copy itself. Finish that first, or copy from "
            "where it came from."
        )
    if not source.exists(keys.counter):
        raise ServerUnsuitable("There is no store with jobs there, behind that prefix.")
    try:
        check_schema(source, keys)
    except UpgradeNeeded as error:
        raise ServerUnsuitable(
            f"The store that is to be copied has schema {error.found}, this version needs {SCHEMA}."
            " Upgrade it first, with settings that name it."
        ) from error
    refuse_while_in_use(source, keys, "it is copied")
    shards = Layout.from_text(source.hget(keys.meta, "layout")).shards
    if shards > 1:
        raise ServerUnsuitable(f"The store has {shards} shards; one with one can be copied.")


class _Copy:
    """Into `target`. Its mark there is its own: whoever begins another copy ends this one."""

    def __init__(self, source: Any, target: Any, keys: Keys) -> None:
        self._source = source
        self._target = target
        self._keys = keys
        self._token = secrets.token_hex(8)

    def begin(self) -> None:
        """Leaves nothing there but the mark. Raises ServerUnsuitable."""
        target, keys = self._target, self._keys
        refuse_while_in_use(target, keys, "another is copied there")
        meta: dict[str, str] = target.hgetall(keys.meta)
        if Layout.from_text(meta.get("layout")).shards > 1:
            raise ServerUnsuitable(
                "The store that is to be filled has several shards already. Fill one with "
                "QUEUE_SHARDS=1, on a server that has none; shards are added afterwards."
            )
        names = {_bytes(name) for name in names_of(target, keys)} - {_bytes(keys.meta)}
        if names and COPYING not in meta:
            found = min(names).decode("utf-8", "replace")
            raise ServerUnsuitable(
                f"The store that is to be filled is not empty: there is {found}. Fill another, "
                "with another KEY_PREFIX or on another server."
            )
        with target.pipeline() as pipe:
            pipe.delete(keys.meta)
            pipe.hset(keys.meta, COPYING, self._token)
            pipe.execute()
        for name in names:
            target.unlink(name)

    def key(self, text: str, new_text: str) -> Iterator[int]:
        source, name, new_name = self._source, _bytes(text), _bytes(new_text)
        expires_ms, kind = source.pexpiretime(name), source.type(name)
        if kind == "none":  # it has expired meanwhile
            return
        if kind not in _KINDS:
            raise ServerUnsuitable(f"{text} is a {kind}, and none of this program's keys.")
        read, write, size = _KINDS[kind]
        entries = iter(read(source, name))
        while step := list(islice(entries, STEP)):
            with self._transaction() as pipe:
                write(pipe, new_name, step)
            yield len(step)
        if size and getattr(self._target, size)(new_name) != getattr(source, size)(name):
            raise ServerUnsuitable(f"{text} did not come along whole. Copy again: it begins anew.")
        if expires_ms > 0:
            with self._transaction() as pipe:
                pipe.pexpireat(new_name, expires_ms)

    def end(self, meta: dict[str, str]) -> None:
        with self._transaction() as pipe:
            pipe.delete(self._keys.meta)
            pipe.hset(self._keys.meta, mapping=meta)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """What is written while the target is this copy's, and nobody else used it."""
        with self._target.pipeline() as pipe:
            pipe.watch(self._keys.meta)
            meta = pipe.hgetall(self._keys.meta)
            if meta.get(COPYING) != self._token or meta.keys() - {COPYING, "schema"}:
                raise ServerUnsuitable(_DISTURBED)
            pipe.multi()
            yield pipe
            try:
                pipe.execute()
            except redis.WatchError as error:
                raise ServerUnsuitable(_DISTURBED) from error


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
# How to read and to write each kind, and the command that counts its entries.
_KINDS: dict[str, tuple[_Read, _Write, str]] = {
    "string": (_read_string, lambda pipe, name, step: pipe.set(name, _bytes(step[0])), ""),
    "hash": (
        lambda client, name: client.hscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.hset(name, mapping=_bytes_of(step, _bytes)),
        "hlen",
    ),
    "set": (
        lambda client, name: client.sscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.sadd(name, *map(_bytes, step)),
        "scard",
    ),
    "zset": (
        lambda client, name: client.zscan_iter(name, count=STEP),
        lambda pipe, name, step: pipe.zadd(name, _bytes_of(step, float)),
        "zcard",
    ),
    "stream": (_read_stream, _write_stream, "xlen"),
}
