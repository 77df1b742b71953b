"""Fills a server with jobs of any history, without the queue's verbs: the listing's own test data.

What is written obeys the queue's invariants (I1–I3 of the design): record, payload, place, indexes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import redis

from app.queue.job import FINAL, Status
from app.queue.keys import Keys
from app.queue.summary import pack_summary

Record = dict[str, Any]

JOB_TYPES = ("send_email", "noop", "resize_image", "Webhook", "report:daily")
TAGS = ("welcome", "invoice", "acme", "rare")
TITLES = ("Welcome", "welcome back", "Your invoice", "ÜBERSICHT", "Übersicht 2", "x" * 80)
PEOPLE = ("ann@example.com", "Bob@Example.com", "ann@example.org", "jörg@bücher.example", "nobody")
STARTED_MS = 1_750_000_000_000
DAY_MS = 86_400_000
STEP = 2_000

# Statuses in which a job may be that has never begun, and that has.
_NOT_BEGUN = (Status.SCHEDULED, Status.PENDING, Status.CANCELLED)
_BEGUN = tuple(Status)


def mixed(rng: random.Random, count: int) -> Iterator[Record]:
    """Every status, type and retry count at random; times within seconds, so many are equal."""
    for job_id in range(1, count + 1):
        yield make_record(rng, job_id, picked_ms=STARTED_MS + rng.randrange(3_000))


def bursts(rng: random.Random, count: int) -> Iterator[Record]:
    """Busy seconds, days apart: times are crowded, and the ids have large holes."""
    job_id = 0
    for n in range(count):
        job_id += 1 if rng.random() < 0.99 else rng.randrange(1, 10**6)
        burst_ms = STARTED_MS + (n * 12 // count) ** 3 * DAY_MS
        yield make_record(rng, job_id, picked_ms=burst_ms + rng.randrange(2_000))


def one_instant(rng: random.Random, count: int) -> Iterator[Record]:
    """All jobs picked and completed in the same millisecond; ids of one to five digits."""
    for job_id in range(1, count + 1):
        yield make_record(rng, job_id * 7, picked_ms=STARTED_MS, ran_ms=0)


def doubling(rng: random.Random, count: int) -> Iterator[Record]:
    """Gaps that double every so often: interpolation is always wrong."""
    job_id = 0
    for n in range(count):
        job_id += 1 + rng.randrange(2 ** (n * 36 // count))
        yield make_record(rng, job_id, picked_ms=STARTED_MS + job_id)


def blocks(rng: random.Random, count: int) -> Iterator[Record]:
    """Old jobs succeeded, new ones wait: each bucket has ids of its own."""
    for job_id in range(1, count + 1):
        done = job_id < count * 0.9
        status = Status.SUCCESS if done else Status.PENDING
        yield make_record(rng, job_id, picked_ms=STARTED_MS + job_id * 10, status=status)


SHAPES: dict[str, Callable[[random.Random, int], Iterator[Record]]] = {
    shape.__name__: shape for shape in (mixed, bursts, one_instant, doubling, blocks)
}


def make_record(
    rng: random.Random,
    job_id: int,
    *,
    picked_ms: int,
    ran_ms: int | None = None,
    status: Status | None = None,
) -> Record:
    begun = rng.random() < 0.7
    status = status or rng.choice(_BEGUN if begun else _NOT_BEGUN)
    begun = begun or status not in _NOT_BEGUN
    record: Record = {
        "id": job_id,
        "job_type": rng.choice(JOB_TYPES),
        "priority": rng.choice(("high", "low", "low")),
        "status": status.value,
        "created_at": STARTED_MS - 10_000 + job_id,
        "retry_count": rng.choice((0, 0, 0, 1, 2, 3, 10)) if begun else 0,
    }
    if begun:
        record["picked_at"] = picked_ms
        record["worker"] = "w1"
        record["attempts"] = record["retry_count"] + 1
    if status in FINAL:
        ran_ms = rng.randrange(500) if ran_ms is None else ran_ms
        record["completed_at"] = picked_ms + ran_ms
    tags = [tag for tag in TAGS if rng.random() < (0.01 if tag == "rare" else 0.3)]
    if tags:
        record["tags"] = ",".join(tags)
    # Not part of what `Job_map` keeps.
    if rng.random() < 0.6:
        record["title"] = rng.choice(TITLES)
        record["people"] = rng.sample(PEOPLE, rng.choice((0, 1, 1, 2, 3)))
    return record


def write(
    client: redis.Redis, keys: Keys, records: Iterable[Record], *, payload: str = "{}"
) -> None:
    records = iter(records)
    last_id = 0
    while step := list(islice(records, STEP)):
        with client.pipeline(transaction=False) as pipe:
            _write_step(pipe, keys, step, payload)
            pipe.execute()
        last_id = max(last_id, step[-1]["id"])
    client.set(keys.counter, last_id)


def _write_step(pipe: Any, keys: Keys, records: list[Record], payload: str) -> None:
    zsets: dict[str, dict[str, float]] = {}

    def put(key: str, job_id: str, score: float) -> None:
        zsets.setdefault(key, {})[job_id] = score

    buckets = set()
    summaries = {}
    for record in records:
        job_id, bucket = str(record["id"]), bucket_of(record)
        buckets.add(bucket)
        put(keys.index(bucket), job_id, record["id"])
        if "picked_at" in record:
            put(keys.picked(bucket), job_id, record["picked_at"])
        if record["retry_count"]:
            put(keys.retries(bucket), job_id, record["retry_count"] * 2**43 + record["id"])
        status = Status(record["status"])
        if status in FINAL:
            put(keys.completed(bucket), job_id, record["completed_at"])
        else:
            place = {
                Status.PENDING: keys.pending,
                Status.FAILED: keys.failed,
                Status.SCHEDULED: keys.scheduled,
                Status.PROCESSING: keys.processing,
            }[status]
            put(place, job_id, record["created_at"])
        for tag in record.get("tags", "").split(","):
            if tag:
                put(keys.tag(tag), job_id, record["id"])
        if "title" in record:
            summaries[job_id] = pack_summary(record["title"], record["people"])
            for entry in find_entries(record):
                put(keys.find, entry, 0)
    for key, scores in zsets.items():
        pipe.zadd(key, scores)
    if summaries:
        pipe.hset(keys.summaries, mapping=summaries)
    pipe.sadd(keys.buckets, *buckets)
    pipe.hset(keys.jobs, mapping={str(r["id"]): record_json(r) for r in records})
    pipe.hset(keys.payloads, mapping={str(r["id"]): payload for r in records})


def record_json(record: Record) -> str:
    kept = {name: value for name, value in record.items() if name not in ("title", "people")}
    return json.dumps(kept, separators=(",", ":"))


def find_entries(record: Record) -> list[str]:
    tail = f"\0{record['id']:012x}"
    people = [person.lower().rpartition("@") for person in record["people"]]
    return [
        f"t:{record['title'][:64].casefold()}{tail}",
        *(f"r:{domain}@{name}{tail}" for name, at, domain in people if at),
    ]


def bucket_of(record: Record) -> str:
    stage = 2 if record["retry_count"] else int("picked_at" in record)
    return f"{record['status']}:{record['job_type']}:{record['priority']}:{stage}"
