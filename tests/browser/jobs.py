"""Jobs for the browser to look at."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import redis

from app.queue.keys import Keys
from tests.queue.listing_store import make_record, write

MAIL = json.dumps(
    {"to": "ada@example.com", "subject": "Your order", "message": "It is on its way."}
)


def fill(client: redis.Redis, count: int) -> None:
    """Jobs of every status, a second apart, the last of them created just now."""
    write(client, Keys(), _records(count), payload=MAIL)
    client.hset(Keys().meta, "revision", count)
    _count_an_hour(client)


def worker_alive(client: redis.Redis) -> None:
    """Says what a main worker says, so that the page has nothing to warn of."""
    now_ms = int(time.time() * 1000)
    said = {"role": "main", "host": "mail-1", "pid": 7, "version": "1", "concurrency": 16}
    client.zadd(Keys().workers, {"mail-1-7": now_ms})
    client.set(Keys().worker("mail-1-7"), json.dumps(said))


def _count_an_hour(client: redis.Redis) -> None:
    """What the charts draw: each minute is different."""
    rng, minute = random.Random(8), int(time.time() // 60)
    for n in range(60):
        finished = rng.randrange(1_900, 2_100)
        counters = {
            "submitted:noop": finished + rng.randrange(-50, 50),
            "succeeded:noop": finished,
            "failed:noop": rng.randrange(80),
            "permanently_failed:noop": rng.randrange(9),
        }
        for name in ("wait", "run"):
            bounds = {f"{name}:{bound}": rng.randrange(1, 700) for bound in (5, 20, 100, 500)}
            counters |= bounds | {f"{name}:sum": 20 * finished}
        client.hset(Keys().stats_minute(minute - n), mapping=counters)


def _records(count: int) -> Iterator[dict[str, Any]]:
    rng, now_ms = random.Random(7), int(time.time() * 1000)
    for job_id in range(1, count + 1):
        created_ms = now_ms - (count - job_id) * 1000
        record = make_record(rng, job_id, picked_ms=created_ms + 20, ran_ms=80)
        record["created_at"] = created_ms
        if record["status"] in ("failed", "permanently_failed"):
            record["last_error"] = "451 4.7.1 Greylisted, try again in 5 minutes"
        yield record
