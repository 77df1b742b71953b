"""`ShardedInspector`: what people read of a queue that lies in several shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from heapq import merge
from itertools import chain, islice
from typing import Any

from app.queue.asking import ask
from app.queue.counters import last_minutes
from app.queue.inspector import Inspector
from app.queue.job import Attempt, Job, Priority, Status
from app.queue.query import LIMIT_MAX, JobQuery, Page
from app.queue.series import Histogram, Minute
from app.queue.sharded_listing import ShardedListing
from app.queue.worker_info import WorkerInfo

# So many times more tags of each shard than asked for: one may be rarer in some than in others.
TAGS_OVER = 4


class ShardedInspector(Inspector):
    """One `Inspector` in front of those of all shards, the first of which is home: workers report
    there. `shard_of` tells which of them has a job.

    It answers everything itself (nothing is inherited but the type). A shard that is away makes
    what needs it raise QueueUnavailable, as a single server does. Shards are read one after the
    other, so answers of a running system may be some milliseconds apart.
    """

    def __init__(self, inspectors: Sequence[Inspector], shard_of: Callable[[int], int]) -> None:
        self._shards = inspectors
        self._home = inspectors[0]
        self._shard_of = shard_of
        self._listing = ShardedListing([one.listing for one in inspectors], shard_of)

    def job(self, job_id: int) -> Job:
        return self._of(job_id).job(job_id)

    def attempts(self, job_id: int) -> list[Attempt]:
        return self._of(job_id).attempts(job_id)

    def page(self, query: JobQuery, *, with_payload: bool = False) -> Page:
        return self._listing.page(query, with_payload=with_payload)

    def walk(self, query: JobQuery) -> Iterator[list[Job]]:
        """As of one shard: by id, each once."""
        parts = [chain.from_iterable(shard.walk(query)) for shard in self._shards]
        jobs = merge(*parts, key=lambda job: job.id)
        while some := list(islice(jobs, LIMIT_MAX)):
            yield some

    def counts(
        self, *, job_type: str | None = None, priority: Priority | None = None
    ) -> dict[Status, int]:
        return _sum(
            ask([partial(s.counts, job_type=job_type, priority=priority) for s in self._shards])
        )

    def job_types(self) -> list[str]:
        return sorted(set(chain.from_iterable(ask([s.job_types for s in self._shards]))))

    def tags(self, limit: int = 50) -> list[str]:
        return [tag for tag, _ in self.tag_counts(limit)]

    def tag_counts(self, limit: int) -> list[tuple[str, int]]:
        """Exact, unless a shard has more than `TAGS_OVER · limit` tags: then the last of them may
        be others."""
        found: Counter[str] = Counter()
        for part in ask([partial(s.tag_counts, TAGS_OVER * limit) for s in self._shards]):
            found.update(dict(part))
        return sorted(found.items(), key=lambda one: (one[1], one[0]), reverse=True)[:limit]

    def position(self, job_id: int) -> int | None:
        """As if one server had all: each shard hands out its own jobs in this order."""
        rank = self.rank(job_id)
        return None if rank is None else self.pending_before(rank)

    def rank(self, job_id: int) -> float | None:
        return self._of(job_id).rank(job_id)

    def pending_before(self, rank: float) -> int:
        return sum(ask([partial(s.pending_before, rank) for s in self._shards]))

    def paused(self) -> bool:
        """Whether any shard hands out no jobs: a pause that came half-way is to be seen."""
        return any(ask([s.paused for s in self._shards]))

    def series(self, minutes: int) -> list[Minute]:
        """The minutes of the home shard's clock."""
        return self.minutes(last_minutes(minutes, int(self.now() * 1000)))

    def minutes(self, numbers: range) -> list[Minute]:
        parts = ask([partial(s.minutes, numbers) for s in self._shards])
        return [reduce(_add_minutes, same) for same in zip(*parts, strict=True)]

    def stats(self) -> dict[str, Any]:
        """As of one shard. `paused` when any shard is; `last_minute` is each shard's own."""
        parts = ask([s.stats for s in self._shards])
        waits = [part["oldest_pending_seconds"] for part in parts]
        return parts[0] | {
            "counts": _sum([part["counts"] for part in parts]),
            "total": sum(part["total"] for part in parts),
            "paused": any(part["paused"] for part in parts),
            "totals": _sum([part["totals"] for part in parts]),
            "by_type": _sum_by_type([part["by_type"] for part in parts]),
            "last_minute": _sum([part["last_minute"] for part in parts]),
            "oldest_pending_seconds": max((w for w in waits if w is not None), default=None),
            "revision": sum(part["revision"] for part in parts),
        }

    def durations(self) -> tuple[Histogram, Histogram]:
        waits, runs = zip(*ask([s.durations for s in self._shards]), strict=True)
        return sum(waits, Histogram()), sum(runs, Histogram())

    def memory(self) -> tuple[int, int] | None:
        """The sum over all servers, each counted once, however many shards it has. No limit (0)
        where one has none; None where one doesn't tell us."""
        servers = dict(zip(ask([s.server_id for s in self._shards]), self._shards, strict=True))
        parts = ask([s.memory for s in servers.values()])
        told = [part for part in parts if part is not None]
        if len(told) < len(parts):
            return None
        used, limits = zip(*told, strict=True)
        return sum(used), sum(limits) if all(limits) else 0

    def server_id(self) -> str | None:
        """Of home."""
        return self._home.server_id()

    def workers(self) -> list[WorkerInfo]:
        return self._home.workers()

    def heartbeats(self) -> dict[str, int]:
        return self._home.heartbeats()

    def breakers(self) -> list[dict[str, Any]]:
        return self._home.breakers()

    def revision(self) -> int:
        """Rises with every change in any shard. One Redis command to each."""
        return sum(ask([s.revision for s in self._shards]))

    def now(self) -> float:
        """The time of the home shard's server."""
        return self._home.now()

    def _of(self, job_id: int) -> Inspector:
        return self._shards[self._shard_of(job_id)]


def _sum(parts: Sequence[Mapping[Any, int]]) -> dict[Any, int]:
    """Adds the counts of each name; names stay in order."""
    sums: dict[Any, int] = {}
    for part in parts:
        for name, count in part.items():
            sums[name] = sums.get(name, 0) + count
    return sums


def _sum_by_type(parts: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    names = sorted(set(chain.from_iterable(parts)))
    return {name: _sum([part.get(name, {}) for part in parts]) for name in names}


def _add_minutes(one: Minute, other: Minute) -> Minute:
    return Minute(
        one.at, _sum([one.counts, other.counts]), one.wait + other.wait, one.run + other.run
    )
