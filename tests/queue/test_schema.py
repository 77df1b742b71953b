"""The store's layout has a number; older stores are taken along, newer ones refused."""

from __future__ import annotations

import pytest
import redis

from app.queue import schema
from app.queue.errors import ServerUnsuitable
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.schema import SCHEMA, UpgradeNeeded, check_schema, upgrade

KEYS = Keys("mr:")


def stored(client: redis.Redis) -> str | None:
    found: str | None = client.hget(KEYS.meta, "schema")
    return found


def test_a_new_store_gets_this_schema(client: redis.Redis) -> None:
    check_schema(client, KEYS)

    assert stored(client) == str(SCHEMA)


def test_a_store_from_before_the_number_has_the_first(client: redis.Redis) -> None:
    JobQueue(client, prefix=KEYS.prefix).submit("noop")

    check_schema(client, KEYS)

    assert stored(client) == "1"


def test_a_newer_store_is_refused(client: redis.Redis) -> None:
    client.hset(KEYS.meta, "schema", SCHEMA + 1)

    with pytest.raises(ServerUnsuitable, match=rf"newer version \(schema {SCHEMA + 1}"):
        check_schema(client, KEYS)
    assert stored(client) == str(SCHEMA + 1)


def test_an_older_store_is_refused_with_what_to_do(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.hset(KEYS.meta, "schema", 1)
    monkeypatch.setattr(schema, "SCHEMA", 3)

    with pytest.raises(UpgradeNeeded, match=r"schema 1, this version needs 3.*flask queue upgrade"):
        check_schema(client, KEYS)


def test_a_full_server_still_serves_what_it_has(client: redis.Redis) -> None:
    JobQueue(client, prefix=KEYS.prefix).submit("noop")
    client.config_set("maxmemory", "1")
    try:
        check_schema(client, KEYS)
    finally:
        client.config_set("maxmemory", "0")

    assert stored(client) is None
    check_schema(client, KEYS)
    assert stored(client) == "1"


def test_every_step_runs_once_in_order(client: redis.Redis) -> None:
    client.hset(KEYS.meta, "schema", 1)
    ran: list[int] = []
    steps = {1: lambda *_: ran.append(1), 2: lambda *_: ran.append(2)}

    assert upgrade(client, KEYS, steps) == [2, 3]
    assert (ran, stored(client)) == ([1, 2], "3")
    assert upgrade(client, KEYS, steps) == []
    assert ran == [1, 2]


def test_a_step_that_fails_runs_again_and_those_before_it_do_not(client: redis.Redis) -> None:
    client.hset(KEYS.meta, "schema", 1)
    ran: list[str] = []

    def second(*_: object) -> None:
        ran.append("second")
        if len(ran) == 2:
            raise KeyboardInterrupt

    steps = {1: lambda *_: ran.append("first"), 2: second}
    with pytest.raises(KeyboardInterrupt):
        upgrade(client, KEYS, steps)
    assert stored(client) == "2"

    assert upgrade(client, KEYS, steps) == [3]
    assert ran == ["first", "second", "second"]


def test_nothing_is_upgraded_under_a_living_worker(client: redis.Redis) -> None:
    queue = JobQueue(client, prefix=KEYS.prefix)
    queue.renew("w1", [], {"role": "main"})
    client.hset(KEYS.meta, "schema", 1)

    with pytest.raises(ServerUnsuitable, match="1 workers spoke"):
        upgrade(client, KEYS, {1: lambda *_: None})
    assert stored(client) == "1"

    queue.renew("w1", [], None)
    assert upgrade(client, KEYS, {1: lambda *_: None}) == [2]


def test_two_upgrades_do_not_run_at_once(client: redis.Redis) -> None:
    client.hset(KEYS.meta, "schema", 1)

    def step(*_: object) -> None:
        with pytest.raises(ServerUnsuitable, match="Another upgrade"):
            upgrade(client, KEYS, {1: lambda *_: None})

    assert upgrade(client, KEYS, {1: step}) == [2]


def test_there_is_a_step_to_every_schema() -> None:
    assert sorted(schema.STEPS) == list(range(SCHEMA))
