"""`flask queue copy`: a store comes to another place whole, or is not taken for one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask import Flask

from app import create_app
from app.config import Config
from app.queue import copying
from app.queue.audit import Audit
from app.queue.connection import connect
from app.queue.errors import ServerUnsuitable
from app.queue.inspector import JobQuery
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.operations import Operations
from app.queue.schema import COPYING
from app.queue.submission import NewJob
from app.queue.suppressions import Suppression
from tests.cli.conftest import Run
from tests.conftest import RedisServer
from tests.queue.invariants import check
from tests.queue.listing_store import mixed, write
from tests.workers.conftest import own_server
from tests.workers.own_server import OwnServer

__all__ = ["own_server"]

NEW = "{mr0}"
JOBS = 2_000  # several steps of the large keys
AGAIN: dict[str, Any] = {
    "job_type": "noop",
    "idempotency_key": "order-1",
    "tags": ("a",),
    "title": "Hello",
    "people": ("ann@example.org",),
}


@pytest.fixture
def old(debian_client: redis.Redis) -> redis.Redis:
    """A server of another version with a store that has something of everything."""
    write(debian_client, Keys(), list(mixed(random.Random(7), JOBS)))
    queue = JobQueue(debian_client)
    queue.ensure_schema()
    queue.submit(**AGAIN)
    queue.claim("w1", 3, nonce="n")
    queue.take(1, {"x": 50.0})
    Audit(debian_client).write("ann", "pause", "the queue")
    Operations(debian_client).start("retry", JobQuery(), "ann")
    debian_client.set("Unheard of", "somebody else's")
    debian_client.execute_command("HSET", "Unreadable", "7", b"\xff\x00 no text")
    return debian_client


@pytest.fixture
def app(config: Config, server: RedisServer, client: redis.Redis) -> Flask:
    return create_app(replace(config, redis_url=server.url, key_prefix=NEW))


def contents(client: redis.Redis, prefix: str) -> dict[str, Any]:
    """Everything behind a prefix, with when it expires."""
    keys = Keys(prefix)
    raw = connect_lossless(client)
    found = {}
    for name in set(copying.names_of(raw, keys)):
        kind = raw.type(copying._bytes(name))
        read, *_ = copying._KINDS[kind]
        entries = list(read(raw, copying._bytes(name)))
        ordered = entries if kind in ("string", "stream") else sorted(entries)
        found[name[len(prefix) :]] = (kind, ordered, raw.pexpiretime(name))
    raw.close()
    return found


def wrongs(queue: JobQueue) -> list[str]:
    """What repair would mend."""
    return sorted(line.replace(queue.keys.prefix, "") for line in queue.repair(dry_run=True))


def connect_lossless(client: redis.Redis) -> Any:
    path = client.connection_pool.connection_kwargs["path"]
    return connect(f"unix://{path}", name="test", text_errors=copying.LOSSLESS)


def test_everything_comes_along_to_another_server_and_prefix(
    flask: Run, app: Flask, client: redis.Redis, old: redis.Redis, debian_redis: RedisServer
) -> None:
    before = contents(old, "")

    result = flask("queue", "copy", debian_redis.url)

    assert result.exit_code == 0, result.output
    after = contents(client, NEW)
    # The copy is in the new store's audit log.
    assert len(after["Audit"][1]) == len(before["Audit"][1]) + 1
    assert after | {"Audit": before["Audit"]} == before
    assert contents(old, "") == before
    assert (
        "Unheard of" not in after and {"Find", "Operations:running", "Unreadable"} <= after.keys()
    )
    queue: JobQueue = app.extensions["queue"]
    # What was written here for the listing is not sound; it is as wrong as it was, and no more.
    assert wrongs(queue) == wrongs(JobQueue(old))
    assert queue.submit("web_noop") == JOBS + 2, "ids go on"
    assert (
        queue.submit(
            "noop", idempotency_key="order-1", tags=("a",), title="Hello", people=("a@x.org",)
        )
        == JOBS + 1
    )


def test_a_sound_store_is_sound_in_its_new_place_and_can_be_given_shards(
    flask: Run,
    app: Flask,
    client: redis.Redis,
    debian_client: redis.Redis,
    debian_redis: RedisServer,
) -> None:
    earlier = JobQueue(debian_client, prefix="shop:")
    ids = [earlier.submit("web_noop", f'{{"n": {n}}}') for n in range(30)]
    for job in earlier.claim("w1", 10):
        earlier.complete(job)

    assert flask("queue", "copy", debian_redis.url, "--prefix", "shop:").exit_code == 0
    check(client, NEW)
    assert flask("queue", "shards", 3).exit_code == 0

    queue: JobQueue = app.extensions["queue"]
    assert [job.id for job in queue.claim("w2", 20)] == ids[10:]
    assert app.extensions["inspector"].counts()["success"] == 10
    assert queue.submit("web_noop") > ids[-1]


def refusal(flask: Run, *words: str) -> str:
    result = flask("queue", "copy", *words)
    assert result.exit_code == 1, result.output
    return result.stderr


def test_what_is_in_use_or_not_there_or_not_empty_is_refused(
    flask: Run, app: Flask, client: redis.Redis, old: redis.Redis, debian_redis: RedisServer
) -> None:
    url = debian_redis.url
    assert "no store" in refusal(flask, url, "--prefix", "other:")

    JobQueue(old).renew("w1", [], {"role": "main"})
    assert "workers spoke" in refusal(flask, url)
    old.delete("Workers")

    app.extensions["suppressions"].add(Suppression("ann@example.com", "asked for it", 0.0, "ann"))
    before = contents(client, NEW)
    assert f"not empty: there is {NEW}Suppressions" in refusal(flask, url)
    assert contents(client, NEW) == before
    assert flask("queue", "copy", "ftp://x").exit_code == 2


def test_nothing_starts_on_half_a_store_and_the_next_copy_begins_anew(
    flask: Run,
    config: Config,
    server: RedisServer,
    client: redis.Redis,
    old: redis.Redis,
    debian_redis: RedisServer,
) -> None:
    source, target = connect_lossless(old), connect_lossless(client)
    steps = copying.copy_store(source, Keys(), target, Keys(NEW))
    next(steps), next(steps)
    steps.close()
    target.set(f"{NEW}Tag:left-behind", "")

    with pytest.raises(ServerUnsuitable, match="being copied here"):
        JobQueue(client, prefix=NEW).ensure_schema()
    with pytest.raises(ServerUnsuitable, match="half a copy itself"):
        next(copying.copy_store(target, Keys(NEW), source, Keys("elsewhere:")))
    assert flask("queue", "shards", 3).exit_code == 1
    assert flask("queue", "copy", debian_redis.url).exit_code == 0

    assert contents(client, NEW).keys() == contents(old, "").keys()
    assert not client.hexists(f"{NEW}Meta", COPYING)
    for opened in (source, target):
        opened.close()


def test_a_store_that_is_used_meanwhile_is_no_copy(client: redis.Redis, old: redis.Redis) -> None:
    source, target = connect_lossless(old), connect_lossless(client)
    steps = copying.copy_store(source, Keys(), target, Keys(NEW))
    next(steps)
    JobQueue(old).submit("noop")

    with pytest.raises(ServerUnsuitable, match="was used"):
        list(steps)

    assert client.hexists(f"{NEW}Meta", COPYING)
    for opened in (source, target):
        opened.close()


def test_two_copies_at_once_and_a_target_in_use_are_noticed(
    client: redis.Redis, old: redis.Redis
) -> None:
    source, target = connect_lossless(old), connect_lossless(client)
    first, second = (copying.copy_store(source, Keys(), target, Keys(NEW)) for _ in range(2))
    next(first)
    next(second)
    with pytest.raises(ServerUnsuitable, match="another copy into it runs"):
        list(first)
    list(second)
    assert contents(client, NEW) == contents(old, "")

    client.flushall()
    third = copying.copy_store(source, Keys(), target, Keys(NEW))
    next(third)
    JobQueue(client, prefix=NEW).submit("noop")
    with pytest.raises(ServerUnsuitable, match="was used meanwhile"):
        list(third)
    for opened in (source, target):
        opened.close()


def test_a_source_that_restarts_under_the_copy_is_noticed(
    client: redis.Redis, own_server: OwnServer
) -> None:
    """A scan that goes on in another process may miss what it has not seen yet."""
    source = connect(own_server.url, name="test", text_errors=copying.LOSSLESS)
    JobQueue(source).submit_many([NewJob("noop", tags=(f"t{n}",)) for n in range(500)])
    target = connect_lossless(client)
    steps = copying.copy_store(source, Keys(), target, Keys(NEW))
    next(steps)
    own_server.kill()
    own_server.start()

    with pytest.raises(ServerUnsuitable, match="restarted|did not come along whole"):
        list(steps)

    assert client.hexists(f"{NEW}Meta", COPYING)
    for opened in (source, target):
        opened.close()
