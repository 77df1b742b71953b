"""A queue of several shards and a reference for each, side by side."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

import redis

from app.queue.counters import DURATIONS
from app.queue.errors import IdempotencyConflict
from app.queue.growth import grow
from app.queue.job import Job
from app.queue.operations import Action, Operations
from app.queue.query import JobQuery
from app.queue.sharded_jobqueue import ShardedJobQueue, shares
from app.queue.submission import NewJob
from tests.queue.pair import HEAD_START_MS, LEASE_MS, LIMIT, Pair
from tests.queue.reference import Reference, ReferenceJob
from tests.queue.sharded import check_shards, sharded
from tests.queue.virtual_time import virtual_source

SHARDS = 4


class ShardedReference:
    """What `Reference` is for one shard. What is about a job goes to its shard's."""

    def __init__(self, queue: ShardedJobQueue, make: Callable[[], Reference]) -> None:
        self._layout = lambda: queue.shards.layout
        self._make = make
        self.shards: list[Reference] = []
        self.begin_era()

    def begin_era(self) -> None:
        era, before = self._layout().era, len(self.shards)
        for number in range(era.shards):
            if number >= before:
                shard = self._make()
                self.shards.append(shard)
                if before:
                    shard.now_ms, shard.paused = self.shards[0].now_ms, self.shards[0].paused
            self.shards[number].last_id = era.first_id + number
            self.shards[number].step = era.shards

    def at(self, job_id: int) -> Reference:
        return self.shards[self._layout().shard_of(job_id)]

    def __getattr__(self, verb: str) -> Any:
        if verb not in {
            *("retry", "cancel", "delete", "holds", "complete", "fail", "release"),
            *("renew", "abandon"),
        }:
            raise AttributeError(verb)
        return lambda job_id, *args, **how: getattr(self.at(job_id), verb)(job_id, *args, **how)

    @property
    def jobs(self) -> dict[int, ReferenceJob]:
        return {job_id: job for shard in self.shards for job_id, job in shard.jobs.items()}

    @property
    def last_id(self) -> int:
        return max(self.jobs, default=0)

    @property
    def counters(self) -> Counter[str]:
        return sum((shard.counters for shard in self.shards), Counter())

    @property
    def now_ms(self) -> int:
        return self.shards[0].now_ms

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        for shard in self.shards:
            shard.now_ms = now_ms

    @property
    def paused(self) -> bool:
        return self.shards[0].paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        for shard in self.shards:
            shard.paused = paused

    def claim(self, worker: str, token: str, wanted: int) -> list[int]:
        start, count = crc32(token.encode()), len(self.shards)
        for number in ((start + i) % count for i in range(count)):
            if claimed := self.shards[number].claim(worker, token, wanted):
                return claimed
        return []

    def promote(self, limit: int) -> tuple[int, int | None]:
        found = [shard.promote(limit) for shard in self.shards]
        due = [wait for _, wait in found if wait is not None]
        return sum(moved for moved, _ in found), min(due, default=None)

    def reap(self, limit: int) -> tuple[list[int], list[int], bool]:
        found = [shard.reap(limit) for shard in self.shards]
        requeued = [job_id for one, _, _ in found for job_id in one]
        poisoned = [job_id for _, one, _ in found for job_id in one]
        return requeued, poisoned, any(held for _, _, held in found)

    def trimmable(self, success_ms: int, failed_ms: int) -> set[int]:
        return set().union(*(shard.trimmable(success_ms, failed_ms) for shard in self.shards))

    def trim(self, job_ids: set[int]) -> None:
        for shard in self.shards:
            shard.trim(job_ids & shard.jobs.keys())

    def finished(self) -> list[ReferenceJob]:
        return [job for shard in self.shards for job in shard.finished()]

    def count(self, status: str) -> int:
        return sum(shard.count(status) for shard in self.shards)


class ShardedPair(Pair):
    """On one server. Begins with `shards` shards; `grow` adds others."""

    reference: ShardedReference  # type: ignore[assignment]
    queue: ShardedJobQueue

    def __init__(
        self,
        client: redis.Redis,
        source: Callable[[str], str] | None = None,
        shards: int = SHARDS,
    ) -> None:
        source = source or virtual_source(client)
        super().__init__(client, source)
        self.queue = sharded(
            client, shards, source=source, lease_ms=LEASE_MS, head_start_ms=HEAD_START_MS
        )
        self._source = source
        # They choose the shard that is asked first: hypothesis wants the same each time.
        nonces = itertools.count()
        self._new_nonce = lambda: f"nonce-{next(nonces)}"
        self._operations: list[Operations] = []
        now_ms = self.clock.now_ms
        make = partial(Reference, now_ms, lease_ms=LEASE_MS, head_start_ms=HEAD_START_MS)
        self.reference = ShardedReference(self.queue, make)
        self._watch()

    def grow(self, shards: int) -> None:
        self._times = 1
        grow(self.queue.shards, shards)
        self.reference.begin_era()
        self._watch()

    def _watch(self) -> None:
        """Sends through `_send` what the new shards are sent."""
        for part in self.queue.parts()[len(self._operations) :]:
            once = part._scripts.call
            part._scripts.call = partial(self._send_to, once)  # type: ignore[method-assign]
            prefix = part.keys.prefix
            self._operations.append(Operations(self.client, prefix=prefix, source=self._source))

    def _send_to(self, once: Callable[..., Any], name: str, *args: Any, **options: Any) -> Any:
        self._sent.add(name)
        for _ in range(self._times - 1):
            once(name, *args, **options)
        answer = once(name, *args, **options)
        if name == "submit" or (name in ("retry", "cancel", "delete") and answer == "ok"):
            self.acted.append(((once, name, *args), answer))
        return answer

    def send_again(self, at: int) -> None:
        (once, *call), answer = self.acted[at]
        assert once(*call) == answer

    def submit(self, *jobs: NewJob, twice: bool = False) -> None:
        """Where a job went the queue decides; all else the reference of that shard does."""
        self._times = 1 + twice
        answers = self.queue.submit_many(jobs)
        pairs = list(zip(answers, jobs, strict=True))
        if len(self.reference.shards) > 1:
            # Those without a key are sent first, in one step.
            pairs.sort(key=lambda pair: pair[1].idempotency_key is not None)
        for answer, job in pairs:
            found = (answer.job_id, "conflict")
            if not isinstance(answer, IdempotencyConflict):
                found = (answer.job_id, "created" if answer.created else "known")
            assert self.reference.at(answer.job_id).submit(job) == found, "I8"

    def operate(self, action: Action, query: JobQuery, limit: int, *, twice: bool = False) -> None:
        self._times = 1
        ids = [operations.start(action, query, "tests") for operations in self._operations]
        answers = [
            getattr(self.reference, action)(job_id)
            for job_id, job in self.reference.jobs.items()
            if query.status in (None, job.status)
            and query.job_type in (None, job.job_type)
            and query.all_tags <= set(job.tags)
        ]
        self.submit(NewJob("noop", tags=("a",)), twice=twice)
        chunks = iter(range(len(self.reference.jobs) + 10))
        while self.queue.operate(limit):
            assert next(chunks, None) is not None, "the operation does not end"
        found = [part.get(one) for part, one in zip(self._operations, ids, strict=True)]
        done = sum(answer in ("ok", "requested") for answer in answers)
        assert {one.status for one in found} == {"done"}
        assert sum(one.total for one in found) == len(answers)
        assert sum(one.done for one in found) == done

    def claim_again(self, at: int) -> None:
        """The shard is asked that did not answer."""
        self._times = 1
        worker, nonce, wanted, claimed = self.unanswered.pop(at)
        expected = [job_id for job_id in claimed if self.reference.holds(job_id, nonce)]
        part = self.queue.shards.of_job(claimed[0])
        jobs = part.claim(worker, wanted, nonce=nonce)
        assert [job.id for job in jobs] == expected
        self.leases += jobs

    def renew(self, jobs: list[Job], *, sending: bool = False, twice: bool = False) -> None:
        self._times = 1 + twice
        expected: dict[str, list[int]] = {"ok": [], "cancel": [], "lost": []}
        for job in jobs:
            verdict = self.reference.renew(job.id, job.token or "", sending=sending)
            expected[verdict].append(job.id)
        renewal = self.queue.renew("w1", jobs, {}, sending=sending)
        found = {"ok": renewal.ok, "cancel": renewal.cancel, "lost": renewal.lost}
        assert {name: sorted(ids) for name, ids in found.items()} == {
            name: sorted(ids) for name, ids in expected.items()
        }

    def trim_by_count(self, max_jobs: int, limit: int = LIMIT) -> None:
        self._times = 1
        finished = [shard.finished() for shard in self.reference.shards]
        bounds = shares(max_jobs, [len(jobs) for jobs in finished])
        forgot = self.queue.trim(max_jobs=max_jobs, limit=limit)
        pairs = zip(finished, bounds, strict=True)
        assert forgot == sum(
            max(0, min(limit, len(jobs) - bound)) if bound else 0 for jobs, bound in pairs
        )
        kept = {int(job_id) for part in self._parts("Job_map") for job_id in part}
        for jobs in finished:
            gone = [job for job in jobs if job.id not in kept]
            stayed = [job.completed_ms or 0 for job in jobs if job.id in kept]
            assert all(not stayed or (job.completed_ms or 0) <= min(stayed) for job in gone)
        self.reference.trim({job.id for jobs in finished for job in jobs if job.id not in kept})

    # ── What both hold ──────────────────────────────────────────────────────────────────────

    def _records_found(self) -> dict[int, dict[str, Any]]:
        return check_shards(self.client, self.queue, head_start_ms=HEAD_START_MS)

    def _parts(self, name: str) -> list[dict[str, str]]:
        return [self.client.hgetall(f"{part.keys.prefix}{name}") for part in self.queue.parts()]

    def _check_leases(self) -> None:
        ends = {
            int(job_id): end
            for part in self.queue.parts()
            for job_id, end in self.client.zrange(part.keys.processing, 0, -1, withscores=True)
        }
        processing = [job for job in self.reference.jobs.values() if job.lease_token]
        assert ends == {job.id: job.lease_ends_ms for job in processing}

    def _check_histories(self) -> None:
        lines = {
            int(job_id): text.count("\n") + 1
            for part in self._parts("Job_attempts")
            for job_id, text in part.items()
        }
        assert lines == {job.id: job.lines for job in self.reference.jobs.values() if job.lines}

    def _check_counters(self) -> None:
        found: Counter[str] = Counter()
        for part in self._parts("Stats"):
            for name, count in part.items():
                if name.partition(":")[0] not in DURATIONS:
                    found[name] += int(count)
        assert found == self.reference.counters
