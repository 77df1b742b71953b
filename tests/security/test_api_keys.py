"""The store of API keys: made, found, revoked, rotated, listed."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.security.api_keys import (
    STALE_AFTER_SECONDS,
    USE_NOTED_EVERY_SECONDS,
    ApiKeyNotFound,
    ApiKeys,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(store: redis.Redis, clock: Clock) -> ApiKeys:
    return ApiKeys(store, prefix="p:", clock=clock)


def make(keys: ApiKeys, name: str = "billing", **rights: Any) -> tuple[Any, str]:
    return keys.create(name, by="tests", now=5.0, **rights)


def test_a_key_is_found_by_its_text_alone(keys: ApiKeys) -> None:
    key, text = make(keys, scopes=["read", "submit"], senders=["A@Example.com"], daily_quota=3)

    assert text.startswith(f"mr_{key.id}_")
    assert keys.find(text) == key
    assert (key.scopes, key.senders, key.daily_quota) == (
        ("submit", "read"),
        ("a@example.com",),
        3,
    )
    wrong_end = text[:-1] + ("0" if text[-1] != "0" else "1")
    for wrong in (wrong_end, text + "0", text.upper(), f"mr_{key.id}_", key.id, "", "mr__", "ä"):
        assert keys.find(wrong) is None


def test_redis_never_holds_a_key(keys: ApiKeys, store: redis.Redis) -> None:
    _, text = make(keys)
    secret = text.rpartition("_")[2]

    for name in store.scan_iter():
        assert secret not in str(store.hgetall(name))


def test_a_revoked_key_is_not_found_and_the_api_stays_closed(keys: ApiKeys) -> None:
    assert not keys.any_made()
    key, text = make(keys)

    revoked = keys.revoke(key.id, now=9.0)

    assert (revoked.revoked_at, keys.find(text)) == (9.0, None)
    assert keys.revoke(key.id, now=10.0).revoked_at == 9.0
    assert keys.any_made()


def test_another_process_obeys_a_revocation_within_seconds(
    store: redis.Redis, keys: ApiKeys, clock: Clock
) -> None:
    key, text = make(keys)
    other = ApiKeys(store, prefix="p:", clock=clock)
    assert other.find(text) == key
    keys.revoke(key.id, now=9.0)

    clock.now += STALE_AFTER_SECONDS

    assert other.find(text) is None


def test_finding_asks_redis_once_in_a_while(
    keys: ApiKeys, clock: Clock, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = make(keys)
    asked: list[str] = []
    ask = type(store).execute_command

    def count(self: redis.Redis, *words: Any, **options: Any) -> Any:
        asked.append(words[0])
        return ask(self, *words, **options)

    monkeypatch.setattr(type(store), "execute_command", count)

    for _ in range(100):
        assert keys.find(text)
        assert not keys.find("mr_00000000_" + "0" * 64)
    assert asked == ["HMGET", "HGETALL"]
    clock.now += STALE_AFTER_SECONDS
    assert keys.find(text)
    assert asked == ["HMGET", "HGETALL", "HMGET"]


def test_when_redis_is_away_nobody_is_let_in(clock: Clock) -> None:
    away = ApiKeys(connect("redis://127.0.0.1:1", name="tests", connect_timeout_seconds=0.2))

    with pytest.raises(QueueUnavailable):
        away.find("mr_00000000_" + "0" * 64)
    with pytest.raises(QueueUnavailable):
        away.any_made()


def test_a_rotated_key_keeps_its_rights_and_the_old_one_works_until_revoked(
    keys: ApiKeys,
) -> None:
    old, old_text = make(keys, scopes=["admin"], senders=["example.com"], daily_quota=9)

    new, new_text = keys.rotate(old.id, by="tests", now=6.0)

    assert keys.find(old_text) and keys.find(new_text) == new
    assert (new.name, new.scopes, new.senders, new.daily_quota) == (
        *("billing", ("admin",)),
        *(("example.com",), 9),
    )
    keys.revoke(old.id, now=7.0)
    assert keys.find(old_text) is None
    with pytest.raises(ValueError, match="is revoked"):
        keys.rotate(old.id, by="tests", now=8.0)


def test_the_list_is_newest_first_and_tells_the_last_use(keys: ApiKeys) -> None:
    first, _ = make(keys, "first")
    second, _ = keys.create("second", by="tests", now=6.0)
    keys.note_use(first, now=50.0)
    keys.note_use(first, now=50.0 + USE_NOTED_EVERY_SECONDS / 2)
    assert keys.list() == [(second, None), (first, 50.0)]

    keys.note_use(first, now=50.0 + USE_NOTED_EVERY_SECONDS)
    assert keys.list()[1] == (first, 50.0 + USE_NOTED_EVERY_SECONDS)


def test_an_unknown_key_is_told(keys: ApiKeys) -> None:
    for act in (lambda: keys.revoke("x", now=1.0), lambda: keys.rotate("x", by="t", now=1.0)):
        with pytest.raises(ApiKeyNotFound, match="no API key 'x'"):
            act()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "\n"}, "name: must have"),
        ({"name": "x" * 101}, "name: must have"),
        ({"scopes": []}, "scope: must be some of submit, read, admin"),
        ({"scopes": ["write"]}, "scope: must be some of"),
        ({"senders": ["a b"]}, "sender: 'a b' is not"),
        ({"senders": [f"{n}.example" for n in range(101)]}, "at most 100"),
        ({"daily_quota": 0}, "daily quota: must be"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    keys: ApiKeys, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        keys.create(**{"name": "x", "by": "tests", "now": 1.0} | fields)


@pytest.mark.parametrize(
    ("scopes", "may"),
    [(["submit"], {"submit"}), (["read"], {"read"}), (["admin"], {"submit", "read", "admin"})],
)
def test_admin_includes_the_others_which_include_nothing(
    keys: ApiKeys, scopes: list[str], may: set[str]
) -> None:
    key, _ = make(keys, scopes=scopes)
    assert {scope for scope in ("submit", "read", "admin") if key.may(scope)} == may
