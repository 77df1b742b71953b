"""Of several shards, pages, the API and exports show what they show of one store of all jobs."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest
import redis
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.queue.inspector import Inspector
from app.queue.keys import Keys
from tests.api.conftest import source_for_fakeredis
from tests.queue.listing_store import mixed, write
from tests.queue.sharded_store import SHARDS, Sharded, open_shards, prefix_of, shard_of

JOBS = 260


@pytest.fixture
def sharded(fake_client: redis.Redis) -> Sharded:
    records = list(mixed(random.Random(7), JOBS))
    write(fake_client, Keys("one:"), records)
    for shard in range(SHARDS):
        own = [record for record in records if shard_of(record["id"]) == shard]
        write(fake_client, Keys(prefix_of(shard)), own)
    return open_shards(fake_client, source_for_fakeredis)


@pytest.fixture
def of_one(config: Config, fake_client: redis.Redis) -> FlaskClient:
    changed = replace(config, key_prefix="one:")
    return create_app(changed, client=fake_client, source=source_for_fakeredis).test_client()


@pytest.fixture
def of_shards(config: Config, fake_client: redis.Redis, sharded: Sharded) -> FlaskClient:
    changed = replace(config, key_prefix=prefix_of(0))
    app = create_app(changed, client=fake_client, source=source_for_fakeredis)
    app.extensions["inspector"] = sharded.inspector
    app.extensions["operations"] = sharded.operations
    return app.test_client()


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/partials/jobs-table?page=3",
        "/dashboard/partials/jobs-table?sort=status&order=asc&page=2&status=failed",
        "/dashboard/partials/jobs-table?sort=completed_at&tag=invoice",
        "/dashboard/partials/jobs-table?q=%40example.com&sort=created_at",
        "/dashboard?status=pending&sort=priority",
        "/dashboard/jobs/150",
        "/dashboard/export.csv",
        "/dashboard/export.jsonl?status=success&job_type=noop",
        "/api/tasks?sort=picked_at&page=4&limit=17",
        "/api/tasks?priority=high&sort=retry_count&order=asc",
        "/api/job/status/77",
        "/api/stats",
        "/dashboard/workers",
        "/dashboard/operations",
    ],
)
def test_an_answer_is_the_same(
    of_one: FlaskClient, of_shards: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ages, and tags that change every few seconds, must not differ from one request to the next.
    monkeypatch.setattr("app.dashboard.clock.now", lambda: 1_800_000_000.0)
    monkeypatch.setattr(Inspector, "_now_ms", lambda _inspector: 1_800_000_000_000)
    one, several = of_one.get(path), of_shards.get(path)

    assert (one.status_code, several.status_code) == (200, 200)
    assert without_moment(several.text) == without_moment(one.text)


def without_moment(text: str) -> str:
    """Without what differs from request to request."""
    return re.sub(r'(csrf_token" value=|data-now=)"?[^",]+', r"\1", text)


def test_an_operation_from_the_api_reaches_every_shard(
    of_shards: FlaskClient, sharded: Sharded
) -> None:
    before = sharded.inspector.counts()
    answer = of_shards.post(
        "/api/jobs/actions", json={"action": "cancel", "filter": {"status": "pending"}}
    )
    assert answer.status_code == 200, answer.text

    sharded.run_operations()

    after = sharded.inspector.counts()
    assert after["pending"] == 0 < before["pending"]
    assert after["cancelled"] == before["cancelled"] + before["pending"]
