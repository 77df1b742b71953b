"""`flask queue shards`"""

from __future__ import annotations

import json
from collections.abc import Callable

import redis
from flask import Flask

from app.queue.jobqueue import JobQueue
from tests.cli.conftest import Run

Audited = Callable[[], list[tuple[str, str]]]


def test_one_shard_is_shown_as_it_is(flask: Run, queue: JobQueue, audited: Audited) -> None:
    queue.submit("web_noop")

    [shard] = json.loads(flask("queue", "shards", "--json").stdout)["shards"]

    assert shard.pop("server")
    assert shard == {
        "shard": 0,
        "prefix": "-",
        "slot": "-",
        "last_id": 1,
        "pending": 1,
        "note": "",
    }
    assert audited() == []


def test_shards_are_added_and_the_rest_goes_on(
    flask: Run, app: Flask, queue: JobQueue, audited: Audited
) -> None:
    first = queue.submit("web_noop", idempotency_key="k")

    result = flask("queue", "shards", 4)

    assert result.exit_code == 0
    assert "{mr3}" in result.stdout
    assert "Set QUEUE_SHARDS=4" in result.stdout
    assert audited() == [("shards", "1 to 4")]
    assert queue.submit("web_noop", idempotency_key="k") == first
    ids = {queue.submit("web_noop") for _ in range(8)}
    assert {job_id % 4 for job_id in ids} == {0, 1, 2, 3}
    assert [
        app.test_client().get(f"/api/job/status/{job_id}").status_code for job_id in (first, 9)
    ] == [200, 404]


def test_there_are_never_fewer(flask: Run, queue: JobQueue) -> None:
    flask("queue", "shards", 4)

    result = flask("queue", "shards", 2)

    assert result.exit_code == 1
    assert "The store has 4 shards: 4 to 64 are allowed." in result.stderr


def test_one_that_was_left_out_is_shown_and_taken_along_the_next_time(
    flask: Run, client: redis.Redis, queue: JobQueue
) -> None:
    queue.submit("web_noop")
    flask("queue", "shards", 4)
    client.hdel("{mr2}Meta", "era")

    shards = json.loads(flask("queue", "shards", "--json").stdout)["shards"]
    assert [bool(shard["note"]) for shard in shards] == [False, False, True, False]
    flask("queue", "shards", 4)

    shards = json.loads(flask("queue", "shards", "--json").stdout)["shards"]
    assert not any(shard["note"] for shard in shards)
