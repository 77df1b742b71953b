"""`JobQueue`: one method for each verb, each of them one Lua script in `lua/`.

Every call may be sent twice: submissions and claims carry a nonce, everything a worker settles
carries the lease's token. All times that decide anything are the server's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

import redis

from app.queue import outcome as outcomes
from app.queue.answers import Promotion, Reaping, Renewal, ShardFacts, Turn, Verdict
from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import (
    IdempotencyConflict,
    JobNotFound,
    LayoutChanging,
    LeaseLost,
    QueueUnavailable,
    WrongStatus,
)
from app.queue.job import FINAL, Job
from app.queue.keys import Keys
from app.queue.layout import Era, Layout
from app.queue.line import Line
from app.queue.outcome import Outcome
from app.queue.repairing import Repair, RepairStep, repair_size
from app.queue.schema import check_schema, upgrade
from app.queue.scripts import Scripts, script_source
from app.queue.submission import NewJob, Packed, Submitted, pack, unpack

SUBMIT_MAX = 250
CLAIM_MAX = 250
DEATHS_MAX = 3
IDEMPOTENCY_SECONDS = 86_400
OPERATION_RETENTION_SECONDS = 7 * 86_400

_ONE_SHARD = Era()


class JobQueue:
    """The queue behind one key prefix of one server.

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

    # ── From the application ────────────────────────────────────────────────────────────────

    def submit(self, job_type: str, payload: str | dict[str, Any] = "{}", **fields: Any) -> int:
        """Submits one job and returns its id; `fields` are those of `NewJob`.

        Raises InvalidJob, IdempotencyConflict, QueueUnavailable, QueueFull.
        """
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        [answer] = self.submit_many([NewJob(job_type, text, **fields)])
        if isinstance(answer, IdempotencyConflict):
            raise answer
        return answer.job_id

    def submit_many(self, jobs: Sequence[NewJob]) -> list[Submitted | IdempotencyConflict]:
        """Submits jobs, `SUBMIT_MAX` in one atomic step; answers in order.

        Raises InvalidJob before anything is submitted. QueueUnavailable leaves open which of the
        jobs were taken, and NotReplicated whether they will last: submit again with the same
        idempotency keys.
        """
        packed = [(job, pack(job)) for job in jobs]
        steps = [packed[first : first + SUBMIT_MAX] for first in range(0, len(packed), SUBMIT_MAX)]
        return [answer for answers in self.submit_steps(steps) for answer in answers]

    def submit_one(self, job: NewJob) -> Submitted | IdempotencyConflict:
        """As `submit_many`; threads of a web process that come at the same time share a call, and
        what it raises (`together.py`)."""
        return self.submit_many([job])[0]

    def submit_each(
        self, jobs: Sequence[NewJob]
    ) -> list[Submitted | IdempotencyConflict | QueueUnavailable]:
        """As `submit_many`, but where the shard of some jobs is away, that hides no ids of the
        others. Raises QueueUnavailable when all of them failed."""
        return [*self.submit_many(jobs)]

    def submit_step(
        self, jobs: Sequence[Packed], era: Era = _ONE_SHARD, number: int = 0
    ) -> list[Submitted | IdempotencyConflict]:
        """Submits up to `SUBMIT_MAX` jobs to this shard, which is that number of the era.

        Raises LayoutChanging when the shard has another era, and as `submit_many`.
        """
        [answers] = self.submit_steps([jobs], era, number)
        return answers

    def submit_steps(
        self, steps: Sequence[Sequence[Packed]], era: Era = _ONE_SHARD, number: int = 0
    ) -> Iterator[list[Submitted | IdempotencyConflict]]:
        """The same for several: yields the answers of each. The next is under way by then."""
        several = (self._submit_args(step, era, number) for step in steps)
        calls = self._scripts.calls("submit", several, replicas=self._replicas)
        with closing(calls) as called:
            for step, (now_ms, *ids) in zip(steps, called, strict=True):
                if now_ms == "era":
                    raise LayoutChanging
                pairs = zip(ids, step, strict=True)
                yield [unpack(answer, job, int(now_ms)) for answer, (job, _) in pairs]

    def _submit_args(self, jobs: Sequence[Packed], era: Era, number: int) -> list[Any]:
        args: list[Any] = [new_nonce(), self.head_start_ms, IDEMPOTENCY_SECONDS, self._search]
        args += (era.mark, number)
        for _, fields in jobs:
            args += fields
        return args

    def known_keys(self, digests: Sequence[str]) -> set[str]:
        """Those of these digests of idempotency keys that this shard remembers."""
        keys = [self.keys.idempotency(digest) for digest in digests]
        with unavailable_as_queue_error():
            found: Any = self._client.mget(keys)
        return {digest for digest, job in zip(digests, found, strict=True) if job}

    def retry(self, job_id: int) -> None:
        """Makes a failed, given-up or cancelled job pending now, whatever its attempts so far.

        Raises JobNotFound, WrongStatus.
        """
        self._act("retry", job_id, self.head_start_ms)

    def cancel(self, job_id: int) -> bool:
        """Cancels a waiting job (True), or asks the worker of a processing one (False).

        Raises JobNotFound, WrongStatus.
        """
        return self._act("cancel", job_id) == "ok"

    def delete(self, job_id: int) -> None:
        """Forgets a job that no worker holds. Raises JobNotFound, WrongStatus."""
        self._act("delete", job_id)

    def pause(self) -> bool:
        """Stops handing out jobs. False: the queue was paused already."""
        return bool(self._scripts.call("pause"))

    def resume(self) -> bool:
        """Hands out jobs again. False: the queue was not paused."""
        return bool(self._scripts.call("resume"))

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

    # ── From a worker ───────────────────────────────────────────────────────────────────────

    def turn(
        self, worker: str, outcomes: Sequence[Outcome], wanted: int, *, nonce: str | None = None
    ) -> Turn:
        """One round trip: settles `outcomes`, then claims up to `wanted` jobs.

        Sent again with the same nonce it answers the same. A lost lease is a verdict here, not
        an error, because the other outcomes stand.
        """
        args = self._turn_args(worker, outcomes, wanted, nonce or new_nonce())
        return self.turn_of(self._scripts.call("turn", *args))

    def turn_command(
        self, worker: str, outcomes: Sequence[Outcome], wanted: int, *, nonce: str
    ) -> tuple[Any, ...]:
        """`turn` as a command to send on a `line`; `turn_of` reads its answer. The server may not
        know the script (redis.exceptions.NoScriptError)."""
        return self._scripts.command("turn", *self._turn_args(worker, outcomes, wanted, nonce))

    def _turn_args(
        self, worker: str, outcomes: Sequence[Outcome], wanted: int, nonce: str
    ) -> list[Any]:
        args: list[Any] = [worker, nonce, wanted, self.lease_ms, self.head_start_ms]
        for outcome in outcomes:
            args += (outcome.verb, outcome.job_id, outcome.token, outcome.result, outcome.detail)
        return args

    def line(self) -> Line:
        """A connection of one's own to the server."""
        return Line(self._client)

    def turn_of(self, answer: list[Any]) -> Turn:
        verdicts, claimed, paused, due, more, era = answer
        records = iter(claimed)
        jobs = [
            Job.from_record(record, payload)
            for record, payload in zip(records, records, strict=True)
        ]
        return Turn(verdicts, jobs, bool(paused), bool(due), bool(more), era)

    def claim(self, worker: str, count: int = 1, *, nonce: str | None = None) -> list[Job]:
        """The best ranked pending jobs, each with a lease of `lease_ms`."""
        return self.turn(worker, (), count, nonce=nonce).jobs

    def claimed(self, worker: str, nonce: str) -> list[Job]:
        """What a claim with this nonce claimed, as far as it is still held, and nothing new."""
        return self.turn(worker, (), -1, nonce=nonce).jobs

    def complete(self, job: Job, result: Any = None) -> Verdict:
        """Ends the job as `success`. Raises LeaseLost."""
        return self._settle(job, outcomes.completed(job, result))

    def fail(
        self, job: Job, error: str, *, retry_in_ms: int | None, smtp_code: int | None = None
    ) -> Verdict:
        """Ends the attempt; `retry_in_ms=None` gives the job up. Raises LeaseLost."""
        outcome = outcomes.failed(job, error, retry_in_ms=retry_in_ms, smtp_code=smtp_code)
        return self._settle(job, outcome)

    def release(self, job: Job, *, delay_ms: int = 0, reason: str = "") -> Verdict:
        """Gives the job back without charging an attempt. Raises LeaseLost."""
        return self._settle(job, outcomes.released(job, delay_ms=delay_ms, reason=reason))

    def renew(
        self,
        worker: str,
        jobs: Sequence[Job],
        presence: dict[str, Any] | None = None,
        *,
        sending: bool = False,
        report: bool = True,
    ) -> Renewal:
        """Extends the leases of the jobs in hand, and says that the worker lives.

        `presence=None` takes the worker off the list; without `report` nothing is said of it (that
        belongs at home). `sending` marks the jobs' point of no
        return. Every quarter of a lease is often enough.
        """
        said = "" if presence is None else json.dumps(presence)
        said = said if report else "-"
        args: list[Any] = [worker, self.lease_ms, said]
        for job in jobs:
            args += (job.id, job.token, "sending" if sending else "")
        verdicts, due, work_waits, era = self._scripts.call("renew", *args)
        renewal = Renewal(housekeeping_due=bool(due), work_waits=bool(work_waits), era=era)
        for job, verdict in zip(jobs, verdicts, strict=True):
            getattr(renewal, verdict).append(job.id)
        return renewal

    def mark_sending(self, job: Job) -> Literal["ok", "cancel", "lost"]:
        """Renews the lease and records that the attempt passes its point of no return.

        "ok": it may. "cancel": a person asked to cancel it first. "lost": the job is no longer
        this worker's. Only "ok" leaves a mark. Raises NotReplicated: then it must not.
        """
        return self._mark(job, "sending", replicas=self._replicas)

    def mark_begun(self, job: Job) -> Literal["ok", "cancel", "lost"]:
        """Renews the lease and records that a job with a death behind it is begun, so that a
        further one is its own. Answers as `mark_sending`."""
        return self._mark(job, "begun")

    def take(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        """Asks whether the job may go now under all these rate limits: 0, or ms to wait.

        Each name is one limit, shared by all workers: one job in `intervals_ms[name]`. A job that
        must wait has a slot of its own from then on; it asks again when the wait is over.
        """
        args: list[Any] = [job_id]
        for name, interval_ms in intervals_ms.items():
            args += (name, f"{interval_ms:.3f}")
        return int(self._scripts.call("take", *args))

    def abandon(self, job: Job) -> None:
        """Ends the lease now, as a death of the process that ran the job. Lost leases too."""
        self._scripts.call("abandon", job.id, job.token or "")

    def wake(self, key: str) -> None:
        """Puts a wake-up marker (`keys.wake` or `keys.wake_due`) where one was taken in vain."""
        with unavailable_as_queue_error():
            self._client.zadd(key, {"1": 0})

    # ── Housekeeping ────────────────────────────────────────────────────────────────────────

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

    def parts(self) -> list[JobQueue]:
        """A queue for each shard, the first of which is home."""
        return [self]

    def follow(self, older_than_seconds: float = 0.0) -> None:
        """Hears of shards that were added; one shard alone has nobody to hear of."""

    def layout(self) -> Layout:
        """What home says of the shards."""
        with unavailable_as_queue_error():
            text: Any = self._client.hget(self.keys.meta, "layout")
        return Layout.from_text(text)

    def shard_facts(self) -> ShardFacts:
        """What is to be known of this shard before others are added."""
        with unavailable_as_queue_error(), self._client.pipeline(False) as pipe:
            pipe.hget(self.keys.meta, "era")
            pipe.get(self.keys.counter)
            pipe.zcard(self.keys.pending)
            era, last_id, pending = pipe.execute()
        return ShardFacts(era or _ONE_SHARD.mark, int(last_id or 0), pending)

    def begin_era(self, era: Era, *, earlier: str | None, published: bool = False) -> str:
        """See `lua/grow.lua`; `earlier` is for home: the text of the layout before."""
        said = "-" if earlier is None else earlier
        answer: str = self._scripts.call(
            "grow", era.first_id, era.shards, said, "1" if published else ""
        )
        return answer

    # ── Steps ───────────────────────────────────────────────────────────────────────────────

    def _mark(self, job: Job, mark: str, replicas: int = 0) -> Literal["ok", "cancel", "lost"]:
        args = (job.worker or "", self.lease_ms, "-", job.id, job.token or "", mark)
        [verdict], *_ = self._scripts.call("renew", *args, replicas=replicas)
        answer: Literal["ok", "cancel", "lost"] = verdict
        return answer

    def _act(self, verb: str, job_id: int, *args: Any) -> str:
        answer: str = self._scripts.call(verb, new_nonce(), job_id, *args)
        if answer == "missing":
            raise JobNotFound(job_id)
        if answer not in ("ok", "requested"):
            raise WrongStatus(job_id, verb, answer)
        return answer

    def _settle(self, job: Job, outcome: Outcome) -> Verdict:
        [verdict] = self.turn(job.worker or "", [outcome], 0).verdicts
        if verdict == "lost":
            raise LeaseLost(job.id)
        return verdict


def new_nonce() -> str:
    """96 random bits: never the same twice, in whichever process."""
    return secrets.token_urlsafe(12)
