"""What a job is: its statuses, which verb may move it where, and how long a retry waits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from app.queue.summary import unpack_summary


class Status(StrEnum):
    """Where a job is. Every status is a place in Redis; see `keys.py`."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILED = "failed"
    PERMANENTLY_FAILED = "permanently_failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({Status.SUCCESS, Status.PERMANENTLY_FAILED, Status.CANCELLED})


class Priority(StrEnum):
    HIGH = "high"
    LOW = "low"


# From which statuses a verb may take a job, and where to. The Lua scripts hold the same rules;
# `tests/queue/test_transitions.py` tries every move, allowed or not.
# `cancel` of a processing job only asks: the worker that holds it answers with `fail`.
TRANSITIONS: dict[str, tuple[frozenset[Status], frozenset[Status]]] = {
    "claim": (frozenset({Status.PENDING}), frozenset({Status.PROCESSING})),
    "complete": (frozenset({Status.PROCESSING}), frozenset({Status.SUCCESS})),
    "fail": (
        frozenset({Status.PROCESSING}),
        frozenset({Status.FAILED, Status.PERMANENTLY_FAILED, Status.CANCELLED}),
    ),
    "release": (
        frozenset({Status.PROCESSING}),
        frozenset({Status.PENDING, Status.SCHEDULED, Status.CANCELLED}),
    ),
    "promote": (frozenset({Status.SCHEDULED, Status.FAILED}), frozenset({Status.PENDING})),
    "reap": (
        frozenset({Status.PROCESSING}),
        frozenset({Status.PENDING, Status.PERMANENTLY_FAILED, Status.CANCELLED}),
    ),
    "retry": (
        frozenset({Status.FAILED, Status.PERMANENTLY_FAILED, Status.CANCELLED}),
        frozenset({Status.PENDING}),
    ),
    "cancel": (
        frozenset({Status.SCHEDULED, Status.PENDING, Status.FAILED}),
        frozenset({Status.CANCELLED}),
    ),
}
DELETABLE = frozenset(Status) - {Status.PROCESSING}


class _Record(msgspec.Struct):
    """What `Job_map` holds of a job, as far as it is of interest here. Times in milliseconds."""

    id: int
    job_type: str
    priority: Priority
    created_at: float
    status: Status
    picked_at: float | None = None
    completed_at: float | None = None
    retry_count: int = 0
    last_error: str | None = None
    run_at: float | None = None
    max_retries: int | None = None
    tags: str = ""
    worker: str | None = None
    result: str = ""  # JSON
    attempts: int = 0
    deaths: int = 0
    cancel_requested: bool = False
    sending: bool = False
    token: str | None = None
    unconfirmed: bool = False
    request_id: str | None = None


_decode = msgspec.json.Decoder(_Record).decode


@dataclass(slots=True)
class Job:
    """One job as Redis keeps it. Times are seconds since the epoch, to the millisecond."""

    id: int
    job_type: str
    payload: str  # as submitted; "" where only the record was read, or when it was wiped
    priority: Priority
    created_at: float
    status: Status
    picked_at: float | None = None  # start of the latest attempt
    completed_at: float | None = None  # set with a final status
    retry_count: int = 0  # failed attempts so far
    last_error: str | None = None
    run_at: float | None = None  # when a scheduled or failed job is due
    max_retries: int | None = None  # as asked at submission; None: the job type's own
    tags: tuple[str, ...] = ()
    worker: str | None = None  # who ran, or runs, the latest attempt
    result: Any = None
    attempts: int = 0  # leases handed out
    deaths: int = 0  # leases that ran out
    cancel_requested: bool = False
    sending: bool = False  # the latest attempt passed its point of no return
    token: str | None = None  # the lease's, while processing
    unconfirmed: bool = False  # an earlier lease ran out after its point of no return
    title: str | None = None  # what lists show: of a mail, its subject
    people: tuple[str, ...] = ()  # of a mail, its recipients
    request_id: str | None = None  # of the HTTP request that submitted it
    data: Any = field(default=None, compare=False)  # the validated payload, set by the worker
    # Renews the lease with the mark that the point of no return is passed, and answers whether the
    # job may go on: the lease is still ours and nobody cancelled it (else `cancel_requested` tells
    # which). Set by the worker. Raises QueueUnavailable.
    mark_sending: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    # When its worker last asked for the lease that it got, on that process's monotonic clock.
    leased_at: float = field(default=0.0, compare=False, repr=False)

    @property
    def lease(self) -> tuple[int, str]:
        """What makes this lease of this job unique."""
        return self.id, self.token or ""

    @classmethod
    def from_record(cls, record_json: str, payload: str = "", summary: str | None = None) -> Job:
        """Reads a record of `Job_map`, JSON.

        `summary` is the job's entry in `Job_summary`, if it has one. Raises ValueError when that
        is no record of a job.
        """
        record = _decode(record_json)
        title, people = unpack_summary(summary) if summary else (None, ())
        # By position: names would take as long as all the rest.
        return cls(
            record.id,
            record.job_type,
            payload,
            record.priority,
            record.created_at / 1000,
            record.status,
            _seconds(record.picked_at),
            _seconds(record.completed_at),
            record.retry_count,
            record.last_error,
            _seconds(record.run_at),
            record.max_retries,
            tuple(record.tags.split(",")) if record.tags else (),
            record.worker,
            json.loads(record.result) if record.result else None,
            record.attempts,
            record.deaths,
            record.cancel_requested,
            record.sending,
            record.token,
            record.unconfirmed,
            title,
            people,
            record.request_id,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished attempt. Times are seconds since the epoch."""

    number: int
    started_at: float | None
    ended_at: float
    worker: str | None
    outcome: str  # success | failed | permanently_failed | released | died | cancelled
    error: str | None = None
    smtp_code: int | None = None


def backoff_ms(
    retry_count: int, *, base_ms: int, max_ms: int, rng: random.Random | None = None
) -> int:
    """How long the job waits after its `retry_count`-th failed attempt, in milliseconds.

    Exponential with full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015):
    anywhere up to `base · 2^(retry_count − 1)`, capped at `max_ms`, and at least a second
    (or `base_ms`, where that is shorter: tests and demos).
    """
    ceiling = min(max_ms, base_ms * 2 ** min(retry_count - 1, 40))
    floor = min(1000, base_ms)
    return max(floor, int((rng or random).uniform(0, ceiling)))


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
