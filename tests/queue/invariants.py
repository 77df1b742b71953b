"""The queue's invariants, read from the raw store: no verb and no script of the queue takes part.

I1  Every id of `Job_map` is in exactly one place, the one its status names, in exactly one index
    bucket, the one its record names, and its payload exists.
I2  Nothing else is in any place.
I3  Processing ⇔ token and lease present.
I6  submitted = stored + trimmed + deleted.
"""

from __future__ import annotations

import json
import re
from typing import Any

import redis

from app.queue.job import FINAL, Status
from app.queue.keys import Keys
from tests.queue.virtual_time import NOW_KEY

HEAD_START_MS = 3_600_000

Record = dict[str, Any]
Sets = dict[str, dict[str, float | None]]  # key → member → score; None: any score

_ID_SETS = re.compile(
    r"Mail_queue|Retry_queue|Scheduled_queue|Processing|Tags|Find"
    r"|(Index|Picked|Completed|Retries|Tag):.*"
)
_OTHERS = re.compile(
    r"Job_map|Job_payload|Job_attempts|Job_summary|query:id:counter|Buckets|Wake|Wake:due|"
    r"Stats|Stats:\d+|Meta|Workers|Worker:.*|Idem:[0-9a-f]{64}|Call:.*|Rate:.*|"
    r"Operations|Operations:running|Operation:\d+|operation:id:counter|Audit|"
    r"Unreadable"
)


def check(
    client: redis.Redis,
    prefix: str = "",
    *,
    head_start_ms: int = HEAD_START_MS,
    others: frozenset[str] = frozenset(),
) -> dict[int, Record]:
    """Asserts the invariants of one queue and returns its records.

    `others` are keys of the server that belong to somebody else.
    """
    keys = Keys(prefix)
    records = {id: json.loads(text) for id, text in client.hgetall(keys.jobs).items()}
    names = {name for name in client.scan_iter(count=1000) if name.startswith(prefix)}
    names -= others | {NOW_KEY}
    _check_names(names, prefix)
    for id, record in records.items():
        _check_record(id, record)
    _check_sets(client, keys, names, records, head_start_ms)
    _check_hashes(client, keys, records)
    _check_counters(client, keys, records)
    return {int(id): record for id, record in records.items()}


def _check_names(names: set[str], prefix: str) -> None:
    bare = [name.removeprefix(prefix) for name in names]
    strange = [name for name in bare if not (_ID_SETS.fullmatch(name) or _OTHERS.fullmatch(name))]
    assert not strange, f"keys that are not the queue's: {strange}"


def _check_record(id: str, record: Record) -> None:
    status = record["status"]
    about = f"job {id}: {record}"
    assert str(record["id"]) == id, about
    assert status in set(Status), about
    assert record["priority"] in ("high", "low"), about
    assert (status == "processing") == ("token" in record), f"I3, {about}"
    assert (status in FINAL) == ("completed_at" in record), about
    assert (status in ("scheduled", "failed")) == ("run_at" in record), about
    assert ("picked_at" in record) == (record.get("attempts", 0) > 0), about
    assert ("picked_at" in record) == ("worker" in record), about
    assert status == "processing" or "cancel_requested" not in record, about
    charged = record["retry_count"] + record.get("deaths", 0)
    assert charged <= record.get("attempts", 0), about


def _check_sets(
    client: redis.Redis, keys: Keys, names: set[str], records: dict[str, Record], head_start_ms: int
) -> None:
    """I1 and I2: the sorted sets hold what the records say, with these scores, and no more."""
    expected = expected_sets(keys, records, head_start_ms)
    expected[keys.find] = expected_entries(client.hgetall(keys.summaries))
    expected[keys.tags] = {
        key.removeprefix(keys.tag("")): len(jobs)
        for key, jobs in expected.items()
        if key.startswith(keys.tag(""))
    }
    found: Sets = {
        name: dict(client.zrange(name, 0, -1, withscores=True))
        for name in names
        if _ID_SETS.fullmatch(name.removeprefix(keys.prefix))
    }
    for key in sorted(expected.keys() | found.keys()):
        wanted, there = expected.get(key, {}), found.get(key, {})
        assert there.keys() == wanted.keys(), f"{key} holds {sorted(there)}, not {sorted(wanted)}"
        wrong = {
            id: (score, wanted[id])
            for id, score in there.items()
            if wanted[id] is not None and score != wanted[id]
        }
        assert not wrong, f"{key}: scores found and wanted: {wrong}"


def expected_sets(keys: Keys, records: dict[str, Record], head_start_ms: int) -> Sets:
    sets: Sets = {}
    for id, record in records.items():
        for key, score in _places(keys, record, head_start_ms).items():
            sets.setdefault(key, {})[id] = score
    return sets


def expected_entries(summaries: dict[str, str]) -> dict[str, float | None]:
    entries: dict[str, float | None] = {}
    for id, summary in summaries.items():
        title, _, *people = summary.split("\n")
        tail = f"\0{int(id):012x}"
        if title:
            entries[f"t:{title[:64].casefold()}{tail}"] = 0
        for person in people:
            name, at, domain = person.lower().rpartition("@")
            if at:
                entries[f"r:{domain}@{name}{tail}"] = 0
    return entries


def _places(keys: Keys, record: Record, head_start_ms: int) -> dict[str, float | None]:
    status, bucket = record["status"], bucket_of(record)
    places: dict[str, float | None] = {keys.index(bucket): record["id"]}
    if "picked_at" in record:
        places[keys.picked(bucket)] = record["picked_at"]
    if record["retry_count"]:
        places[keys.retries(bucket)] = min(record["retry_count"], 1023) * 2**43 + record["id"]
    if status in FINAL:
        places[keys.completed(bucket)] = record["completed_at"]
    elif status == "pending":
        places[keys.pending] = rank(record, head_start_ms)
    elif status == "processing":
        places[keys.processing] = None
    else:
        places[keys.failed if status == "failed" else keys.scheduled] = record["run_at"]
    for tag in _tags_of(record):
        places[keys.tag(tag)] = record["id"]
    return places


def _tags_of(record: Record) -> list[str]:
    return [tag for tag in record.get("tags", "").split(",") if tag]


def bucket_of(record: Record) -> str:
    stage = 2 if record["retry_count"] else int("picked_at" in record)
    return f"{record['status']}:{record['job_type']}:{record['priority']}:{stage}"


def rank(record: Record, head_start_ms: int) -> float:
    ready_ms: int = record.get("ready_at", record["created_at"])
    handicap = head_start_ms if record["priority"] == "low" else 0
    return ready_ms + handicap + record["id"] % 2048 / 2048


def _check_hashes(client: redis.Redis, keys: Keys, records: dict[str, Record]) -> None:
    assert set(client.hkeys(keys.payloads)) == records.keys(), "payloads of other jobs than stored"
    summaries = set(client.hkeys(keys.summaries))
    assert summaries <= records.keys(), "summaries of jobs that are not stored"
    histories = client.hgetall(keys.attempts)
    assert histories.keys() <= records.keys(), "histories of jobs that are not stored"
    for id, lines in histories.items():
        numbers = [json.loads(line)["n"] for line in lines.split("\n")]
        assert numbers == sorted(set(numbers)), f"job {id}: attempts {numbers}"
        assert numbers[-1] <= records[id]["attempts"], f"job {id}: attempts {numbers}"
    buckets = {bucket_of(record) for record in records.values()}
    assert buckets <= client.smembers(keys.buckets), "buckets that `Buckets` does not name"
    last_id = int(client.get(keys.counter) or 0)
    assert last_id >= max(map(int, records), default=0), "the id counter is behind"


def _check_counters(client: redis.Redis, keys: Keys, records: dict[str, Record]) -> None:
    """I6, for each job type."""
    counters = {name: int(count) for name, count in client.hgetall(keys.stats).items()}
    stored: dict[str, int] = {}
    for record in records.values():
        stored[record["job_type"]] = stored.get(record["job_type"], 0) + 1
    types = {name.partition(":")[2] for name in counters} | stored.keys()
    for job_type in types - {"-"}:
        submitted, trimmed, deleted = (
            counters.get(f"{event}:{job_type}", 0) for event in ("submitted", "trimmed", "deleted")
        )
        kept = stored.get(job_type, 0)
        assert submitted == kept + trimmed + deleted, (
            f"I6, {job_type}: {submitted} submitted ≠ {kept} stored + {trimmed} trimmed + "
            f"{deleted} deleted"
        )
