"""`JobQueue`: one method for each verb, each of them one Lua script in `lua/`.

Every call may be sent twice: submissions and claims carry a nonce, everything a worker settles
carries the lease's token. All times that decide anything are the server's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

from app.queue import outcome as outcomes
from app.queue.answers import Renewal, Turn, Verdict
from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import (
    IdempotencyConflict,
    JobNotFound,
    LayoutChanging,
    LeaseLost,
    QueueUnavailable,
    WrongStatus,
)
from app.queue.job import Job
from app.queue.layout import Era
from app.queue.line import Line
from app.queue.outcome import Outcome
from app.queue.schema import check_home
from app.queue.submission import NewJob, Packed, Submitted, pack, unpack
from app.queue.upkeep import Upkeep

SUBMIT_MAX = 250
CLAIM_MAX = 250
IDEMPOTENCY_SECONDS = 86_400

_ONE_SHARD = Era()


class JobQueue(Upkeep):
    """The queue behind one key prefix of one server: what applications and workers ask of it, and
    its upkeep, where the arguments are explained."""

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
        """As `submit_many`; threads of a web process that come at the same time share a call, but
        not what is wrong with the job of another (`together.py`)."""
        return self.submit_many([job])[0]

    def submit_each(
        self, jobs: Sequence[NewJob]
    ) -> list[Submitted | IdempotencyConflict | QueueUnavailable]:
        """As `submit_many`, in steps one after the other, but what keeps some jobs from being
        submitted stands in their places, and hides no ids of the others (`ShardedJobQueue`).
        Raises QueueUnavailable when all of them failed."""
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

    # ── One shard of several ────────────────────────────────────────────────────────────────

    def parts(self) -> list[JobQueue]:
        """A queue for each shard, the first of which is home."""
        return [self]

    def follow(self, older_than_seconds: float = 0.0) -> None:
        """Hears of shards that were added; one shard alone has nobody to hear of."""

    def ensure_home(self, prefix: str) -> None:
        """Makes sure that this is a shard of the store whose home has that prefix, and writes it
        down, but at home itself: a copy of that may get another prefix.

        Raises ServerUnsuitable when it is a shard of another store, QueueUnavailable.
        """
        check_home(self._client, self.keys, prefix)

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
