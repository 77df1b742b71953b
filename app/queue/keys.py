"""Every key in Redis, with its type. The Lua scripts build the same names."""

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
        """hash: id → payload, as submitted; empty when it was wiped."""
        return f"{self.prefix}Job_payload"

    @property
    def summaries(self) -> str:
        """hash: id → what people see of it, where there is something (`app/queue/summary.py`)."""
        return f"{self.prefix}Job_summary"

    @property
    def attempts(self) -> str:
        """hash: id → JSON lines, one per finished attempt other than a first success."""
        return f"{self.prefix}Job_attempts"

    @property
    def counter(self) -> str:
        """string: the last id. Public."""
        return f"{self.prefix}query:id:counter"

    # Indexes. A bucket is `<status>:<job_type>:<priority>:<stage>`; the stage is 0 for a job that
    # never began, 1 for one that began, 2 for one of which an attempt failed.
    @property
    def buckets(self) -> str:
        """set: names of the buckets that may hold jobs."""
        return f"{self.prefix}Buckets"

    def index(self, bucket: str) -> str:
        """zset: id → id."""
        return f"{self.prefix}Index:{bucket}"

    def picked(self, bucket: str) -> str:
        """zset: id → picked_at, ms; only for buckets whose jobs have begun (stage 1 and 2)."""
        return f"{self.prefix}Picked:{bucket}"

    def retries(self, bucket: str) -> str:
        """zset: id → retry_count · 2^43 + id; only for buckets of stage 2."""
        return f"{self.prefix}Retries:{bucket}"

    def tag(self, tag: str) -> str:
        """zset: id → id."""
        return f"{self.prefix}Tag:{tag}"

    @property
    def tags(self) -> str:
        """zset: tag → how many jobs have it."""
        return f"{self.prefix}Tags"

    @property
    def find(self) -> str:
        """zset, scores 0: `r:<domain>@<local part>` or `t:<title>`, NUL, the id (12 hex digits)."""
        return f"{self.prefix}Find"

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
        """hash: `event:job_type` → count since the beginning; `wait:<ms>` and `run:<ms>` count
        durations up to that bound, `wait:sum` and `run:sum` are their milliseconds."""
        return f"{self.prefix}Stats"

    def stats_minute(self, minute: int) -> str:
        """hash: the same for one minute since the epoch; expires after 48 h."""
        return f"{self.prefix}Stats:{minute}"

    @property
    def meta(self) -> str:
        """hash: paused, revision, created_at (of the last job: `lua/submit.lua`), promoted_at,
        reaped_at, hold_until, schema, and for buckets of successes `wiped:<bucket>`: payloads are
        wiped of those that completed up to then, ms. And api_keys_made, once there was an API key,
        and api_keys_version, new with each change. And, where there are several shards, era: the
        mark of the one that lasts, and at home layout: all of them (`app/queue/layout.py`). And
        copying, while another store is copied here."""
        return f"{self.prefix}Meta"

    @property
    def workers(self) -> str:
        """zset: worker name → last heartbeat, ms. For people only."""
        return f"{self.prefix}Workers"

    def worker(self, name: str) -> str:
        """string: what the worker says of itself, JSON; expires. For people only."""
        return f"{self.prefix}Worker:{name}"

    # Rate limits.
    def rate(self, name: str) -> str:
        """zset: id of a job that waits → its slot, ms; expires."""
        return f"{self.prefix}Rate:{name}"

    def rate_next(self, name: str) -> str:
        """string: when the limit lets the next job through, ms; expires."""
        return f"{self.prefix}Rate:next:{name}"

    # What people started and did.
    @property
    def operations(self) -> str:
        """zset: operation id → created_at, ms."""
        return f"{self.prefix}Operations"

    @property
    def operations_running(self) -> str:
        """zset: id → id, of the operations that are not finished."""
        return f"{self.prefix}Operations:running"

    def operation(self, operation_id: int | str) -> str:
        """hash: what it does, to which jobs, and how far it is; expires when it is finished."""
        return f"{self.prefix}Operation:{operation_id}"

    @property
    def operation_counter(self) -> str:
        """string: the last id of an operation."""
        return f"{self.prefix}operation:id:counter"

    @property
    def audit(self) -> str:
        """stream: who did what, capped."""
        return f"{self.prefix}Audit"

    # What is not sent to.
    @property
    def suppressions(self) -> str:
        """hash: address → why and since when no mail is sent to it, JSON."""
        return f"{self.prefix}Suppressions"

    @property
    def suppression_times(self) -> str:
        """zset: address → since when, seconds."""
        return f"{self.prefix}Suppressions:times"

    # Who may call the API.
    @property
    def api_keys(self) -> str:
        """hash: key id → the API key without its secret, JSON."""
        return f"{self.prefix}Api_keys"

    @property
    def api_keys_used(self) -> str:
        """hash: key id → when it was last used, ms, a minute exact."""
        return f"{self.prefix}Api_keys:used"

    def quota(self, day: str) -> str:
        """hash: API key id → jobs it submitted on that day (UTC); expires."""
        return f"{self.prefix}Quota:{day}"

    def request_rate(self, key_id: str, window: int) -> str:
        """string: requests that were granted to an API key in this window; expires."""
        return f"{self.prefix}Requests:{key_id}:{window}"

    def login_tries(self, address: str) -> str:
        """string: tries to log in from there in this minute; expires."""
        return f"{self.prefix}Login:{address}"

    # What was found broken.
    @property
    def unreadable(self) -> str:
        """hash: what `repair` could not read, for a person to see: id → record, `payload:<id>` for
        what is no id, `<key>:<id>` for what lay beside a record."""
        return f"{self.prefix}Unreadable"
