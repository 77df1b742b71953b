"""A job on its way into the queue: its fields, the rules they obey, and how the script takes it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from app.queue.errors import IdempotencyConflict, InvalidJob
from app.queue.job import Job, Priority, Status
from app.queue.summary import pack_summary

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TAG = re.compile(r"[\w.:@+-]{1,64}")
TAGS_MAX = 10
RETRIES_MAX = 1000
TIME_MAX_MS = 10**13  # the year 2286
_DIGEST = 6  # where it stands among the packed fields


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to submit. `delay_ms` counts from its creation; `run_at_ms` is absolute."""

    job_type: str
    payload: str = "{}"  # JSON text, stored as it stands
    priority: Priority = Priority.LOW
    delay_ms: int | None = None
    run_at_ms: int | None = None
    max_retries: int | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    # What people see and search; not part of what makes a job the same (see `app/queue/summary.py`)
    title: str | None = None
    people: tuple[str, ...] = ()
    request_id: str | None = None  # of the HTTP request it came with; for logs


Packed = tuple[NewJob, tuple[Any, ...]]  # and as `pack` made it


@dataclass(frozen=True, slots=True)
class Submitted:
    """`new` was accepted at `now_ms`; None: the idempotency key was known, see `job_id`."""

    job_id: int
    new: NewJob | None
    now_ms: int = 0

    @property
    def created(self) -> bool:
        return self.new is not None

    @property
    def job(self) -> Job | None:
        """As it was accepted. Made when asked for: of many jobs at once nobody does."""
        return _accepted(self.new, self.job_id, self.now_ms) if self.new else None


def pack(job: NewJob) -> tuple[Any, ...]:
    """The job as `submit.lua` takes it. Raises InvalidJob."""
    _check(job)
    digest = fingerprint = ""
    if job.idempotency_key is not None:
        digest = hashlib.sha256(job.idempotency_key.encode()).hexdigest()
        fingerprint = _fingerprint(job)
    due = ""
    if job.run_at_ms is not None:
        due = str(job.run_at_ms)
    elif job.delay_ms is not None:
        due = f"+{job.delay_ms}"
    return (
        job.job_type,
        job.priority.value,
        job.payload,
        due,
        "" if job.max_retries is None else str(int(job.max_retries)),
        ",".join(job.tags),
        digest,
        fingerprint,
        pack_summary(job.title, job.people),
        job.request_id or "",
    )


def digest_of(packed: Packed) -> str:
    """Of its idempotency key, or ""."""
    digest: str = packed[1][_DIGEST]
    return digest


def unpack(answer: str, new: NewJob, now_ms: int) -> Submitted | IdempotencyConflict:
    """What `submit.lua` answered for one job at `now_ms`."""
    if answer[0] == "!":
        return IdempotencyConflict(int(answer[1:]))
    if answer[0] == "=":
        return Submitted(int(answer[1:]), None)
    return Submitted(int(answer), new, now_ms)


def _accepted(new: NewJob, job_id: int, now_ms: int) -> Job:
    due_ms = new.run_at_ms if new.run_at_ms is not None else now_ms + (new.delay_ms or 0)
    waits = due_ms > now_ms
    return Job(
        id=job_id,
        job_type=new.job_type,
        payload=new.payload,
        priority=new.priority,
        created_at=now_ms / 1000,
        status=Status.SCHEDULED if waits else Status.PENDING,
        run_at=due_ms / 1000 if waits else None,
        max_retries=new.max_retries,
        tags=new.tags,
        title=new.title,
        people=new.people,
        request_id=new.request_id,
    )


def _check(job: NewJob) -> None:
    if not NAME.fullmatch(job.job_type):
        raise InvalidJob("job_type", "1 to 64 letters, digits, '_', '.' or '-' are allowed")
    if job.delay_ms is not None and job.run_at_ms is not None:
        raise InvalidJob("run_at", "give either run_at or a delay")
    for name, value in (("delay_ms", job.delay_ms), ("run_at_ms", job.run_at_ms)):
        if value is not None and not 0 <= value < TIME_MAX_MS:
            raise InvalidJob(name, f"0 to {TIME_MAX_MS} milliseconds are allowed")
    if job.max_retries is not None and not 0 <= job.max_retries <= RETRIES_MAX:
        raise InvalidJob("max_retries", f"0 to {RETRIES_MAX} are allowed")
    if len(job.tags) > TAGS_MAX or not all(TAG.fullmatch(tag) for tag in job.tags):
        raise InvalidJob("tags", f"at most {TAGS_MAX}, each 1 to 64 of letters, digits or _.:@+-")
    try:
        job.payload.encode()
    except UnicodeEncodeError:
        raise InvalidJob("payload", "must not hold lone surrogates") from None
    # Everything here is checked before it is sent: a job must not spoil a call for others in it.
    if not (job.request_id or "").isascii():
        raise InvalidJob("request_id", "ASCII is allowed")


def _fingerprint(job: NewJob) -> str:
    content = (
        job.job_type,
        job.payload,
        job.priority,
        job.delay_ms,
        job.run_at_ms,
        job.max_retries,
        job.tags,
    )
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
