"""The suppression list in Redis."""

from __future__ import annotations

import pytest
import redis

from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.queue.suppressions import REASON_MAX_CHARS, Suppression, Suppressions
from tests.conftest import RedisServer


@pytest.fixture
def suppressions(store: redis.Redis) -> Suppressions:
    return Suppressions(store)


def entry(address: str, at: float = 1000.5, reason: str = "No such mailbox") -> Suppression:
    return Suppression(address, reason, at, "worker w1", 550, 7)


def test_an_address_on_the_list_is_found_however_it_is_written(suppressions: Suppressions) -> None:
    assert suppressions.add(entry("User@Example.com")) is True

    found = suppressions.find(["uSER@example.COM", "other@example.com"])

    assert found == {"uSER@example.COM": entry("user@example.com")}


def test_nobody_asked_for_is_nobody_found(suppressions: Suppressions) -> None:
    assert suppressions.find([]) == {}
    assert suppressions.find(["a@example.com"]) == {}


def test_adding_again_gives_another_reason(suppressions: Suppressions) -> None:
    suppressions.add(entry("a@example.com"))

    assert suppressions.add(entry("A@example.com", 2000, "asked not to")) is False

    assert suppressions.page().total == 1
    assert suppressions.find(["a@example.com"])["a@example.com"].reason == "asked not to"


def test_removing_tells_whether_it_was_there(suppressions: Suppressions) -> None:
    suppressions.add(entry("a@example.com"))

    assert suppressions.remove("A@Example.com") is True
    assert suppressions.remove("a@example.com") is False
    assert suppressions.find(["a@example.com"]) == {}
    assert suppressions.page().total == 0


def test_pages_are_newest_first(suppressions: Suppressions) -> None:
    for number in (2, 3, 1):
        suppressions.add(entry(f"user{number}@example.com", at=number))

    first, second = (suppressions.page(page=page, limit=2) for page in (1, 2))

    assert (first.total, second.total) == (3, 3)
    assert [one.at for one in first.found + second.found] == [3, 2, 1]
    assert suppressions.page(page=3, limit=2).found == []


@pytest.mark.parametrize(
    ("q", "addresses"),
    [
        ("USER", ["user2@example.com", "user1@example.org"]),
        ("@example.org", ["user1@example.org"]),
        ("*", ["*[a]?\\@example.com"]),
        ("[a]?\\", ["*[a]?\\@example.com"]),
        ("nobody", []),
    ],
)
def test_a_search_finds_what_addresses_contain(
    suppressions: Suppressions, q: str, addresses: list[str]
) -> None:
    suppressions.add(entry("user1@example.org", at=1))
    suppressions.add(entry("user2@example.com", at=2))
    suppressions.add(entry("*[a]?\\@example.com", at=3))

    page = suppressions.page(q)

    assert [one.address for one in page.found] == addresses
    assert page.total == len(addresses)


def test_a_reason_from_strangers_is_one_short_line(suppressions: Suppressions) -> None:
    suppressions.add(entry("a@example.com", reason="no\r\nsuch\x00 " + "x" * 1000))

    reason = suppressions.find(["a@example.com"])["a@example.com"].reason

    assert reason.startswith("no such xx") and len(reason) == REASON_MAX_CHARS


def test_two_prefixes_have_two_lists(store: redis.Redis) -> None:
    mine, other = Suppressions(store, prefix="mine:"), Suppressions(store, prefix="other:")
    mine.add(entry("a@example.com"))

    assert other.page().total == 0
    assert {key.partition(":")[0] for key in store.scan_iter("*")} == {"mine"}


def test_without_redis_it_says_so() -> None:
    suppressions = Suppressions(connect("redis://127.0.0.1:1", name="tests"))

    for call in (
        lambda: suppressions.find(["a@example.com"]),
        lambda: suppressions.add(entry("a@example.com")),
        lambda: suppressions.remove("a@example.com"),
        lambda: suppressions.page("q"),
    ):
        with pytest.raises(QueueUnavailable):
            call()


def test_an_interrupted_question_leaves_no_answer_behind(
    server: RedisServer, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    suppressions = Suppressions(client)
    suppressions.add(entry("a@example.com"))
    [connection] = client.connection_pool._available_connections
    with connect(server.url, name="slowing") as other:
        other.execute_command("CLIENT", "PAUSE", 500, "ALL")  # the answer comes later
    send = type(connection).send_command

    class Interruption(BaseException):
        pass

    def interrupted_after_sending(self: redis.Connection, *args: object, **options: object) -> None:
        send(self, *args, **options)
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(type(connection), "send_command", interrupted_after_sending)
        with pytest.raises(Interruption):
            suppressions.find(["a@example.com"])

    assert suppressions.find(["nobody@example.com"]) == {}
