"""Which shard an id or a key belongs to, over the eras of a store."""

from __future__ import annotations

from app.queue.layout import Era, Layout, shard_of_key, shard_prefix


def test_a_store_without_a_layout_has_one_shard() -> None:
    layout = Layout.from_text(None)

    assert layout.shards == 1
    assert {layout.shard_of(job_id) for job_id in (1, 2, 10**12)} == {0}


def test_an_id_belongs_to_the_shard_of_its_era() -> None:
    layout = Layout((Era(), Era(100, 2, 5), Era(1000, 4, 9)))

    assert [layout.shard_of(job_id) for job_id in (1, 99)] == [0, 0]
    assert [layout.shard_of(job_id) for job_id in (102, 103, 999)] == [0, 1, 1]
    assert [layout.shard_of(job_id) for job_id in (1004, 1005, 1006, 1007)] == [0, 1, 2, 3]


def test_what_is_no_id_is_nobody_s() -> None:
    assert Layout().shard_of(-1) == 0


def test_a_layout_is_read_as_it_was_written() -> None:
    layout = Layout((Era(), Era(100, 2, 1_750_000_000_000)))

    assert layout.text() == "0:1:0,100:2:1750000000000"
    assert Layout.from_text(layout.text()) == layout


def test_the_eras_that_ended_of_late_are_told_latest_first() -> None:
    layout = Layout((Era(), Era(100, 2, 5), Era(1000, 4, 9)))

    assert [era.shards for era in layout.before(since_ms=0)] == [2, 1]
    assert [era.shards for era in layout.before(since_ms=5)] == [2]
    assert layout.before(since_ms=9) == []


def test_the_first_shard_keeps_the_prefix_it_had() -> None:
    assert shard_prefix("", 0) == ""
    assert shard_prefix("", 3) == "{mr3}"
    assert shard_prefix("mail:", 3) == "mail:{mr3}"
    assert shard_prefix("mail:{mr0}", 0) == "mail:{mr0}"
    assert shard_prefix("mail:{mr0}:", 12) == "mail:{mr12}:"


def test_keys_are_spread_over_the_shards() -> None:
    digests = [f"{n * 2654435761 % 2**256:064x}" for n in range(400)]

    numbers = [shard_of_key(digest, 4) for digest in digests]

    assert all(60 < numbers.count(number) < 140 for number in range(4))
