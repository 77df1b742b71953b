"""Every key in Redis, with its type. The Lua scripts build the same names (`lua/_prelude.lua`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of all keys behind one prefix. Ids are decimal strings, times milliseconds."""

    prefix: str = ""

    # Places: each job is in the one that its status names.
    @property
    def pending(self) -> str:
        """zset: id → rank (see `lua/_prelude.lua`). Public."""
        return f"{self.prefix}Mail_queue"

    @property
    def failed(self) -> str:
        """zset: id → when the retry is due, ms. Public."""
        return f"{self.prefix}Retry_queue"

    @property
    def scheduled(self) -> str:
        """zset: id → due, ms."""
        return f"{self.prefix}Scheduled_queue"

    @property
    def processing(self) -> str:
        """zset: id → end of the lease, ms. It *is* the set of processing jobs."""
        return f"{self.prefix}Processing"

    def completed(self, bucket: str) -> str:
        """zset: id → completed_at, ms; only for buckets of a final status, whose place it is."""
        return f"{self.prefix}Completed:{bucket}"

    # What is kept of a job.
    @property
    def jobs(self) -> str:
        """hash: id → the job's record, JSON. Public."""
        return f"{self.prefix}Job_map"

    @property
    def payloads(self) -> str:
        """hash: id → payload, as submitted."""
        return f"{self.prefix}Job_payload"

    @property
    def attempts(self) -> str:
        """hash: id → JSON lines, one per finished attempt other than a first success."""
        return f"{self.prefix}Job_attempts"

    @property
    def counter(self) -> str:
        """string: the last id. Public."""
        return f"{self.prefix}query:id:counter"

    # Indexes. A bucket is `<status>:<job_type>:<priority>:<retry_count>:<begun>`.
    @property
    def buckets(self) -> str:
        """set: names of the buckets that may hold jobs."""
        return f"{self.prefix}Buckets"

    def index(self, bucket: str) -> str:
        """zset: id → id."""
        return f"{self.prefix}Index:{bucket}"

    def picked(self, bucket: str) -> str:
        """zset: id → picked_at, ms; only for buckets whose jobs have begun (`begun` is 1)."""
        return f"{self.prefix}Picked:{bucket}"

    def tag(self, tag: str) -> str:
        """zset: id → id."""
        return f"{self.prefix}Tag:{tag}"

    # Calls that may be sent twice.
    def idempotency(self, digest: str) -> str:
        """string: `id|fingerprint`; expires."""
        return f"{self.prefix}Idem:{digest}"

    def call(self, nonce: str) -> str:
        """string: what a submit or claim with this nonce answered; expires."""
        return f"{self.prefix}Call:{nonce}"

    # Waking, counting, presence.
    @property
    def wake(self) -> str:
        """zset: one marker that wakes an idle worker."""
        return f"{self.prefix}Wake"

    @property
    def wake_due(self) -> str:
        """zset: one marker that wakes a retry worker: something is due sooner than it knew."""
        return f"{self.prefix}Wake:due"

    @property
    def stats(self) -> str:
        """hash: `event:job_type` → count since the beginning."""
        return f"{self.prefix}Stats"

    def stats_minute(self, minute: int) -> str:
        """hash: the same for one minute since the epoch; expires after 48 h."""
        return f"{self.prefix}Stats:{minute}"

    @property
    def meta(self) -> str:
        """hash: paused, revision, promoted_at, reaped_at, hold_until, schema."""
        return f"{self.prefix}Meta"

    @property
    def workers(self) -> str:
        """zset: worker name → last heartbeat, ms. For people only."""
        return f"{self.prefix}Workers"

    def worker(self, name: str) -> str:
        """string: what the worker says of itself, JSON; expires. For people only."""
        return f"{self.prefix}Worker:{name}"

    @property
    def sorted_sets(self) -> tuple[str, ...]:
        """Patterns (`SCAN MATCH`) of all sorted sets whose members are ids of jobs."""
        escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in self.prefix)
        places = ("Mail_queue", "Retry_queue", "Scheduled_queue", "Processing")
        return tuple(
            f"{escaped}{name}" for name in (*places, "Index:*", "Picked:*", "Completed:*", "Tag:*")
        )
