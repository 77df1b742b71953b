"""`Inspector`: what people read of the queue. It never changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import redis

from app.queue.attempts import attempt_from_line, success_from_record
from app.queue.connection import unavailable_as_queue_error
from app.queue.counters import by_type, last_minutes, minute_from_counters, sum_by_event
from app.queue.errors import JobNotFound
from app.queue.job import Attempt, Job, Priority, Status
from app.queue.keys import Keys
from app.queue.listing import (
    LIMIT_MAX,
    LOOK_MAX,
    LOOK_USUALLY,
    SORTS,
    JobQuery,
    Listing,
    Page,
)
from app.queue.scripts import Scripts, script_source
from app.queue.series import Histogram, Minute
from app.queue.walking import walk
from app.queue.worker_info import (
    WorkerInfo,
    alive_main_workers,
    open_breakers,
    workers_since,
)

__all__ = [
    "LIMIT_MAX",
    "LOOK_MAX",
    "LOOK_USUALLY",
    "SORTS",
    "Histogram",
    "Inspector",
    "JobQuery",
    "Minute",
    "Page",
]

WORKER_LISTED_MS = 15 * 60_000


class Inspector:
    """Reads the queue behind one key prefix of one server.

    `search=False` is for a store whose submissions write nothing to search people and titles by.
    Every method raises QueueUnavailable when Redis is away, ServerUnsuitable when it refuses us.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = "",
        search: bool = True,
        source: Callable[[str], str] = script_source,
    ) -> None:
        self.keys = Keys(prefix)
        self._client: Any = client  # redis-py's types allow every answer to be a coroutine
        self._scripts = Scripts(client, self.keys.jobs, source)
        self.listing = Listing(client, self.keys, self._scripts, search=search)

    def job(self, job_id: int) -> Job:
        """The job with its payload. Raises JobNotFound."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            pipe.hget(self.keys.jobs, str(job_id))
            pipe.hget(self.keys.payloads, str(job_id))
            pipe.hget(self.keys.summaries, str(job_id))
            record, payload, summary = pipe.execute()
        if record is None:
            raise JobNotFound(job_id)
        return Job.from_record(record, payload or "", summary)

    def attempts(self, job_id: int) -> list[Attempt]:
        """Finished attempts, oldest first. Raises JobNotFound."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            pipe.hget(self.keys.jobs, str(job_id))
            pipe.hget(self.keys.attempts, str(job_id))
            record, lines = pipe.execute()
        if record is None:
            raise JobNotFound(job_id)
        finished = [attempt_from_line(line) for line in (lines or "").split("\n") if line]
        return finished + success_from_record(Job.from_record(record))

    def page(self, query: JobQuery, *, with_payload: bool = False) -> Page:
        """The jobs on one page, exact at any offset; none beyond the end."""
        return self.listing.page(query, with_payload=with_payload)

    def walk(self, query: JobQuery) -> Iterator[list[Job]]:
        """All jobs that match, whatever its sort and page; see `walking.walk`."""
        return walk(query, self._scripts, self.listing)

    def counts(
        self, *, job_type: str | None = None, priority: Priority | None = None
    ) -> dict[Status, int]:
        """Jobs per status, all seven, zeros included; of one job type or priority, or all."""
        pairs = self._scripts.call("counts", job_type or "", priority or "")
        found = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return {status: found.get(status, 0) for status in Status}

    def job_types(self) -> list[str]:
        """The job types that have jobs in the store, sorted."""
        with unavailable_as_queue_error():
            buckets = sorted(self._client.smembers(self.keys.buckets))
            with self._client.pipeline(False) as pipe:
                for bucket in buckets:
                    pipe.exists(self.keys.index(bucket))
                there = pipe.execute() if buckets else []
        found = [bucket for bucket, exists in zip(buckets, there, strict=True) if exists]
        # A job type may hold a colon; the other parts of a bucket's name can't.
        return sorted({bucket.split(":", 1)[1].rsplit(":", 2)[0] for bucket in found})

    def tags(self, limit: int = 50) -> list[str]:
        """The tags that most jobs have, those first."""
        return [tag for tag, _ in self.tag_counts(limit)]

    def tag_counts(self, limit: int) -> list[tuple[str, int]]:
        """The same with how many jobs have them."""
        with unavailable_as_queue_error():
            found = self._client.zrange(self.keys.tags, 0, limit - 1, desc=True, withscores=True)
        return [(tag, int(jobs)) for tag, jobs in found]

    def position(self, job_id: int) -> int | None:
        """How many pending jobs rank before this one; None when it is not pending."""
        with unavailable_as_queue_error():
            rank = self._client.zrank(self.keys.pending, str(job_id))
        return None if rank is None else int(rank)

    def rank(self, job_id: int) -> float | None:
        """What a pending job is ordered by, lower first; None when it is not pending."""
        with unavailable_as_queue_error():
            score = self._client.zscore(self.keys.pending, str(job_id))
        return None if score is None else float(score)

    def pending_before(self, rank: float) -> int:
        """How many pending jobs have a lower rank."""
        with unavailable_as_queue_error():
            return int(self._client.zcount(self.keys.pending, "-inf", f"({rank!r}"))

    def paused(self) -> bool:
        """Whether no jobs are handed out."""
        with unavailable_as_queue_error():
            return bool(self._client.hget(self.keys.meta, "paused"))

    def series(self, minutes: int) -> list[Minute]:
        """The last `minutes` minutes, oldest first; the last one is the current minute.

        At most `SERIES_MINUTES_MAX`; a minute in which nothing happened has zeros.
        """
        return self.minutes(last_minutes(minutes, self._now_ms()))

    def minutes(self, numbers: range) -> list[Minute]:
        """What happened in these minutes since the epoch."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            for number in numbers:
                pipe.hgetall(self.keys.stats_minute(number))
            counters = pipe.execute()
        return [
            minute_from_counters(number, found)
            for number, found in zip(numbers, counters, strict=True)
        ]

    def stats(self) -> dict[str, Any]:
        """`counts` (status → jobs), `total`, `paused`, `totals` (event → count since the
        beginning: submitted, succeeded, failed, permanently_failed, retried, cancelled, deleted,
        trimmed, trimmed_permanently_failed (these are among the trimmed too), released, died,
        late, lost, unconfirmed), `by_type` (job type → event → count),
        `last_minute` (event → count in the last full minute), `oldest_pending_seconds` (or None),
        `workers_alive`, `slots` and `slots_busy` (of all of them together), `breakers` (see the
        method), `revision`."""
        counts = self.counts()
        now_ms = self._now_ms()
        alive = self._alive_since(now_ms)
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            pipe.hmget(self.keys.meta, ["paused", "revision"])
            pipe.hgetall(self.keys.stats)
            pipe.hgetall(self.keys.stats_minute(now_ms // 60_000 - 1))
            (paused, revision), since_beginning, last_minute = pipe.execute()
        return {
            "counts": counts,
            "total": sum(counts.values()),
            "paused": bool(paused),
            "totals": sum_by_event(since_beginning),
            "by_type": by_type(since_beginning),
            "last_minute": sum_by_event(last_minute),
            "oldest_pending_seconds": self._oldest_pending_seconds(now_ms),
            "workers_alive": len(alive),
            "slots": sum(worker.details.get("concurrency", 0) for worker in alive),
            "slots_busy": sum(worker.details.get("busy", 0) for worker in alive),
            "breakers": open_breakers(alive),
            "revision": int(revision or 0),
        }

    def durations(self) -> tuple[Histogram, Histogram]:
        """How long jobs waited (from ready to picked) and ran, since the beginning."""
        with unavailable_as_queue_error():
            counters = self._client.hgetall(self.keys.stats)
        return Histogram.from_counters("wait", counters), Histogram.from_counters("run", counters)

    def memory(self) -> tuple[int, int] | None:
        """Bytes that the server uses and may use (0: no limit); None where it doesn't tell us."""
        info = self._info("memory")
        return None if info is None else (int(info["used_memory"]), int(info.get("maxmemory", 0)))

    def server_id(self) -> str | None:
        """Which server this is, other for each of its starts; None where it doesn't tell us."""
        info = self._info("server")
        return None if info is None else str(info["run_id"])

    def workers(self) -> list[WorkerInfo]:
        """Workers that said something in the last 15 minutes, by name."""
        return self._workers_since(self._now_ms() - WORKER_LISTED_MS)

    def heartbeats(self) -> dict[str, int]:
        """Name → when it last spoke, ms since the epoch, of the workers that are remembered. What
        `workers` answers changes only with this and with time. One Redis command."""
        with unavailable_as_queue_error():
            seen = self._client.zrange(self.keys.workers, 0, -1, withscores=True)
        return {name: int(seen_ms) for name, seen_ms in seen}

    def breakers(self) -> list[dict[str, Any]]:
        """The workers that send no mail now, because none can go out, by name.

        Each `{"worker": name, "reason": text, "since": seconds since the epoch,
        "next_probe_at": the same}`.
        """
        return open_breakers(self._alive_since(self._now_ms()))

    def revision(self) -> int:
        """Rises with every change. One Redis command."""
        with unavailable_as_queue_error():
            return int(self._client.hget(self.keys.meta, "revision") or 0)

    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return self._now_ms() / 1000

    def _info(self, section: str) -> dict[str, Any] | None:
        with unavailable_as_queue_error():
            try:
                found: dict[str, Any] = self._client.info(section)
            except redis.ResponseError:  # an ACL without INFO
                return None
        return found

    def _now_ms(self) -> int:
        return int(self._scripts.call("now"))

    def _oldest_pending_seconds(self, now_ms: int) -> float | None:
        ready_ms = self._scripts.call("oldest")
        return None if ready_ms is None else max(0, now_ms - int(ready_ms)) / 1000

    def _workers_since(self, since_ms: int) -> list[WorkerInfo]:
        with unavailable_as_queue_error():
            return workers_since(self._client, self.keys, since_ms)

    def _alive_since(self, now_ms: int) -> list[WorkerInfo]:
        return alive_main_workers(self._workers_since(now_ms - WORKER_LISTED_MS), now_ms)
