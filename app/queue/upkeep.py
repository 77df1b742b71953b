"""`Upkeep`: what keeps one shard's store in order. `JobQueue` adds the verbs of applications and
workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import redis

from app.queue.answers import Promotion, Reaping, ShardFacts
from app.queue.connection import unavailable_as_queue_error
from app.queue.job import FINAL
from app.queue.keys import Keys
from app.queue.layout import Era, Layout
from app.queue.repairing import Repair, RepairStep, repair_size
from app.queue.schema import check_schema, upgrade
from app.queue.scripts import Scripts, script_source

DEATHS_MAX = 3
OPERATION_RETENTION_SECONDS = 7 * 86_400


class Upkeep:
    """Of the store behind one key prefix of one server.

    `lease_ms` is how long a claim holds a job without renewal; `head_start_ms` how much longer
    than a high-priority job a low one must have waited to go first. `search` makes new jobs
    findable by their people and titles, which takes memory (docs/search.md). `replicas`: so many
    must have a submission, or the mark of a point of no return, before it counts as made.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str = "",
        lease_ms: int = 60_000,
        head_start_ms: int = 3_600_000,
        search: bool = True,
        replicas: int = 0,
        source: Callable[[str], str] = script_source,
    ) -> None:
        self.keys = Keys(prefix)
        self._client = client
        self.lease_ms = lease_ms
        self.head_start_ms = head_start_ms
        self._search = "1" if search else "0"
        self._replicas = replicas
        self._scripts = Scripts(client, self.keys.jobs, source)
        self._schema_checked = False

    # ── The store ───────────────────────────────────────────────────────────────────────────

    def ensure_schema(self) -> None:
        """Makes sure, once, that the store has the layout that this code knows.

        Raises ServerUnsuitable (with UpgradeNeeded), which says what to do, QueueUnavailable.
        """
        if not self._schema_checked:
            check_schema(self._client, self.keys)
            self._schema_checked = True

    def upgrade(self) -> list[int]:
        """Takes an older store to the layout that this code knows; see `schema.upgrade`."""
        return upgrade(self._client, self.keys)

    def check_writable(self) -> list[str]:
        """Writes something small. What is wrong all the same, a sentence each.

        Raises QueueUnavailable, ServerUnsuitable.
        """
        with unavailable_as_queue_error():
            self._client.hset(self.keys.meta, "checked", "1")
        return []

    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return int(self._scripts.call("now")) / 1000

    # ── Jobs, as time goes by ───────────────────────────────────────────────────────────────

    def promote(self, limit: int = 500) -> Promotion:
        """Makes due jobs pending: scheduled ones, and failed ones whose retry is due."""
        moved, next_due_ms = self._scripts.call("promote", limit, self.head_start_ms)
        return Promotion(moved, None if next_due_ms < 0 else next_due_ms)

    def reap(self, limit: int = 100) -> Reaping:
        """Takes back jobs whose lease ran out; the third death of a job ends it as poison.

        After its first one, a job is charged with a death only if it was begun.
        """
        requeued, poisoned, held = self._scripts.call(
            "reap", limit, self.lease_ms, DEATHS_MAX, self.head_start_ms
        )
        return Reaping([int(i) for i in requeued], [int(i) for i in poisoned], bool(held))

    def finished(self) -> int:
        """How many jobs have a final status."""
        found: list[Any] = self._scripts.call("counts", "", "")
        counts = dict(zip(found[::2], found[1::2], strict=True))
        return sum(int(counts.get(status.value, 0)) for status in FINAL)

    def trim(
        self,
        *,
        success_max_age_ms: int = 0,
        failed_max_age_ms: int = 0,
        max_jobs: int = 0,
        limit: int = 100,
    ) -> int:
        """Forgets finished jobs by age and count, oldest first; 0 is no bound.

        Returns how many; as many as `limit` when there may be more.
        """
        answer = self._scripts.call("trim", limit, success_max_age_ms, failed_max_age_ms, max_jobs)
        return int(answer)

    def wipe_payloads(self, *, success_age_ms: int, limit: int = 100) -> int:
        """Empties the payloads of jobs that succeeded at least so long ago; what they were about
        (`Job_summary`), their result and attempts stay.

        Returns how many; `limit` or more when there may be more.
        """
        return int(self._scripts.call("wipe", limit, success_age_ms))

    def operate(self, limit: int = 100) -> bool:
        """Does the next chunk of an operation (`operations.py`). False: no operation runs now.

        Several callers share the work.
        """
        running = self._scripts.call(
            "operate", limit, self.head_start_ms, OPERATION_RETENTION_SECONDS
        )
        return bool(running)

    def repair(self, *, dry_run: bool = False) -> list[str]:
        """Scans the whole store in small steps and mends what contradicts the invariants.

        Returns a line for each thing mended or found; an empty list is what it should be.
        """
        return [line for step in self.repair_steps(dry_run=dry_run) for line in step.lines]

    def repair_steps(self, *, dry_run: bool = False) -> Iterator[RepairStep]:
        """The same, step by step. A dry run only says what it would mend first."""
        options: dict[str, Any] = {"head_start_ms": self.head_start_ms, "search": self._search}
        return Repair(self._client, self.keys, self._scripts, dry_run=dry_run, **options).steps()

    def repair_size(self) -> int:
        """About how many entries `repair` looks at."""
        return repair_size(self._client, self.keys)

    # ── One shard of several ────────────────────────────────────────────────────────────────

    def layout(self) -> Layout:
        """What home says of the shards."""
        with unavailable_as_queue_error():
            text: Any = self._client.hget(self.keys.meta, "layout")
        return Layout.from_text(text)

    def shard_facts(self) -> ShardFacts:
        """What is to be known of this shard before others are added."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            pipe.hmget(self.keys.meta, "era", "paused")
            pipe.get(self.keys.counter)
            pipe.zcard(self.keys.pending)
            (era, paused), last_id, pending = pipe.execute()
        return ShardFacts(era or Era().mark, int(last_id or 0), pending, paused == "1")

    def begin_era(
        self, era: Era, step: Literal["close", "publish", "open"], *, earlier: str = ""
    ) -> str:
        """See `lua/grow.lua`; `earlier` is for home: the text of the layout before.

        Raises NotReplicated: then the step may be undone by a failover.
        """
        args = (era.first_id, era.shards, step, earlier)
        answer: str = self._scripts.call("grow", *args, replicas=self._replicas)
        return answer
