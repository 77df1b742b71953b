"""What the queue should do, in plain Python over plain dataclasses: no Redis, no Lua."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from app.queue.submission import NewJob

FINAL = ("success", "permanently_failed", "cancelled")
DEATHS_MAX = 3


@dataclass
class ReferenceJob:
    id: int
    job_type: str
    priority: str
    tags: tuple[str, ...]
    created_ms: int
    ready_ms: int
    status: str
    run_at_ms: int | None = None
    picked_ms: int | None = None
    completed_ms: int | None = None
    retry_count: int = 0
    attempts: int = 0
    deaths: int = 0
    worker: str | None = None
    cancel_requested: bool = False
    sending: bool = False
    begun: bool = False
    unconfirmed: bool = False
    lease_token: str | None = None
    lease_ends_ms: int = 0
    settled_token: str | None = None  # of the latest lease, when it was settled
    reaped_token: str | None = None  # of the latest lease, when it was reaped
    lines: int = 0  # of its history

    def record(self) -> dict[str, Any]:
        """The fields that the record in Redis must have; None where it must not have one."""
        return {
            "id": self.id,
            "job_type": self.job_type,
            "priority": self.priority,
            "tags": ",".join(self.tags) or None,
            "created_at": self.created_ms,
            "status": self.status,
            "run_at": self.run_at_ms,
            "picked_at": self.picked_ms,
            "completed_at": self.completed_ms,
            "retry_count": self.retry_count,
            "attempts": self.attempts or None,
            "deaths": self.deaths or None,
            "worker": self.worker,
            "token": self.lease_token,
            "cancel_requested": self.cancel_requested or None,
            "sending": self.sending or None,
            "begun": self.begun or None,
            "unconfirmed": self.unconfirmed or None,
        }


class Reference:
    """All jobs of a queue, or of a shard of one, whose ids rise by `step`. `now_ms` is the server's
    time; the caller moves it."""

    def __init__(self, now_ms: int, *, lease_ms: int, head_start_ms: int) -> None:
        self.now_ms = now_ms
        self.lease_ms = lease_ms
        self.head_start_ms = head_start_ms
        self.jobs: dict[int, ReferenceJob] = {}
        self.last_id = 0
        self.created_ms = 0  # of the last job; the clock may have stepped back since
        self.step = 1
        self.keys: dict[str, tuple[int, NewJob]] = {}
        self.counters: Counter[str] = Counter()
        self.paused = False
        self.reaped_ms: int | None = None
        self.hold_until_ms = 0

    # ── From the application ────────────────────────────────────────────────────────────────

    def submit(self, new: NewJob) -> tuple[int, str]:
        """The id, and "created", "known" or "conflict"."""
        # What is only shown and searched is no part of what makes a job the same.
        new = replace(new, title=None, people=())
        if new.idempotency_key in self.keys:
            job_id, earlier = self.keys[new.idempotency_key]
            return job_id, "known" if earlier == new else "conflict"
        self.last_id += self.step
        self.created_ms = max(self.created_ms, self.now_ms)
        job = ReferenceJob(
            self.last_id,
            new.job_type,
            new.priority.value,
            new.tags,
            created_ms=self.created_ms,
            ready_ms=self.created_ms,
            status="pending",
        )
        if new.delay_ms:
            job.status, job.run_at_ms = "scheduled", self.created_ms + new.delay_ms
        self.jobs[job.id] = job
        if new.idempotency_key is not None:
            self.keys[new.idempotency_key] = job.id, new
        self._count("submitted", job)
        return job.id, "created"

    def retry(self, job_id: int) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "missing"
        if job.status not in ("failed", "permanently_failed", "cancelled"):
            return job.status
        self._make_pending(job, ready_ms=self.now_ms)
        job.completed_ms = None
        job.settled_token = job.reaped_token = None
        job.unconfirmed = False
        self._count("retried", job)
        return "ok"

    def cancel(self, job_id: int) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "missing"
        if job.status == "processing":
            job.cancel_requested = True
            return "requested"
        if job.status in FINAL:
            return job.status
        self._finish(job, "cancelled")
        return "ok"

    def delete(self, job_id: int) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "missing"
        if job.status == "processing":
            return job.status
        self._count("deleted", job)
        del self.jobs[job_id]
        return "ok"

    # ── From a worker ───────────────────────────────────────────────────────────────────────

    def claim(self, worker: str, token: str, wanted: int) -> list[int]:
        if self.paused:
            return []
        pending = sorted(self._in("pending"), key=self._rank)[:wanted]
        for job in pending:
            job.status = "processing"
            job.picked_ms = self.now_ms
            job.attempts += 1
            job.worker = worker
            job.lease_token, job.lease_ends_ms = token, self.now_ms + self.lease_ms
            job.settled_token = job.reaped_token = None
            if job.sending:
                job.sending, job.unconfirmed = False, True
                self._count("unconfirmed", job)
        return [job.id for job in pending]

    def holds(self, job_id: int, token: str) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and job.lease_token == token

    def complete(self, job_id: int, token: str) -> str:
        verdict = self._verdict(job_id, token)
        if verdict == "lost":
            job = self.jobs.get(job_id)
            self.counters[f"lost:{job.job_type if job else '-'}"] += 1
        if verdict in ("ok", "late"):
            job = self.jobs[job_id]
            if verdict == "late":
                self._count("late", job)
            self._end_lease(job, token)
            job.unconfirmed = False
            self._finish(job, "success")
        return verdict

    def fail(
        self,
        job_id: int,
        token: str,
        *,
        retry_in_ms: int | None,
        cancelled: bool = False,
        unconfirmed: bool = False,
    ) -> str:
        verdict = self._verdict(job_id, token)
        if verdict != "ok":
            return "repeat" if verdict == "repeat" else "lost"
        job = self.jobs[job_id]
        cancel_requested = job.cancel_requested
        self._end_lease(job, token)
        job.lines += 1
        if cancelled:
            self._finish(job, "cancelled")
            return "ok"
        job.retry_count += 1
        self._count("failed", job)
        if unconfirmed:
            self._count("unconfirmed", job)
        if retry_in_ms is None:
            self._finish(job, "permanently_failed")
        elif cancel_requested:
            self._finish(job, "cancelled")
        else:
            job.status, job.run_at_ms = "failed", self.now_ms + retry_in_ms
        return "ok"

    def release(self, job_id: int, token: str, *, delay_ms: int) -> str:
        verdict = self._verdict(job_id, token)
        if verdict != "ok":
            return "repeat" if verdict == "repeat" else "lost"
        job = self.jobs[job_id]
        cancel_requested = job.cancel_requested
        self._end_lease(job, token)
        job.lines += 1
        self._count("released", job)
        if cancel_requested:
            self._finish(job, "cancelled")
        elif delay_ms:
            job.status, job.run_at_ms = "scheduled", self.now_ms + delay_ms
        else:
            job.status = "pending"
        return "ok"

    def renew(self, job_id: int, token: str, *, sending: bool = False, begun: bool = False) -> str:
        if not self.holds(job_id, token):
            return "lost"
        job = self.jobs[job_id]
        job.lease_ends_ms = self.now_ms + self.lease_ms
        if job.cancel_requested:
            return "cancel"
        job.sending = job.sending or sending
        job.begun = job.begun or begun
        return "ok"

    def abandon(self, job_id: int, token: str) -> None:
        if self.holds(job_id, token):
            self.jobs[job_id].lease_ends_ms = self.now_ms

    # ── Housekeeping ────────────────────────────────────────────────────────────────────────

    def promote(self, limit: int) -> tuple[int, int | None]:
        """How many moved, and in how many ms the next is due."""
        moved = 0
        for status in ("scheduled", "failed"):
            for job in sorted(self._in(status), key=lambda job: (job.run_at_ms, str(job.id))):
                if moved < limit and (job.run_at_ms or 0) <= self.now_ms:
                    self._make_pending(job, ready_ms=job.run_at_ms or 0)
                    self._count("retried" if status == "failed" else "promoted", job)
                    moved += 1
        waits = [job.run_at_ms or 0 for job in self._in("scheduled") + self._in("failed")]
        return moved, max(0, min(waits) - self.now_ms) if waits else None

    def reap(self, limit: int) -> tuple[list[int], list[int], bool]:
        """Requeued ids, poisoned ids, held."""
        gap_ms = self.now_ms - (self.now_ms if self.reaped_ms is None else self.reaped_ms)
        self.reaped_ms = self.now_ms
        if gap_ms < 0 or gap_ms > self.lease_ms / 2:
            self.hold_until_ms = self.now_ms + self.lease_ms
        if self.now_ms < self.hold_until_ms:
            return [], [], True
        requeued, poisoned = [], []
        expired = [job for job in self._in("processing") if job.lease_ends_ms <= self.now_ms]
        for job in sorted(expired, key=lambda job: (job.lease_ends_ms, str(job.id)))[:limit]:
            cancel_requested = job.cancel_requested
            job.reaped_token, job.lease_token = job.lease_token, None
            job.lines += 1
            # Alone, and not yet begun there: it can't have been the one that killed its worker.
            charged = job.deaths == 0 or job.begun or job.sending
            job.begun = False
            job.deaths += charged
            self._count("died" if charged else "released", job)
            if charged and job.deaths >= DEATHS_MAX:
                self._finish(job, "permanently_failed")
                poisoned.append(job.id)
            elif cancel_requested:
                self._finish(job, "cancelled")
            else:
                job.status = "pending"
                requeued.append(job.id)
        return requeued, poisoned, False

    def trimmable(self, success_ms: int, failed_ms: int) -> set[int]:
        """The ids of finished jobs that are too old."""
        bounds = {"success": success_ms, "permanently_failed": failed_ms, "cancelled": failed_ms}
        return {
            job.id
            for job in self.finished()
            if bounds[job.status] and (job.completed_ms or 0) <= self.now_ms - bounds[job.status]
        }

    def trim(self, job_ids: set[int]) -> None:
        for job_id in job_ids:
            self._count("trimmed", self.jobs[job_id])
            if self.jobs[job_id].status == "permanently_failed":
                self._count("trimmed_permanently_failed", self.jobs[job_id])
            del self.jobs[job_id]

    def finished(self) -> list[ReferenceJob]:
        return [job for status in FINAL for job in self._in(status)]

    def count(self, status: str) -> int:
        return len(self._in(status))

    # ── Steps ───────────────────────────────────────────────────────────────────────────────

    def _verdict(self, job_id: int, token: str) -> str:
        job = self.jobs.get(job_id)
        if job is None:
            return "lost"
        if job.lease_token == token:
            return "ok"
        if job.settled_token == token:
            return "repeat"
        return "late" if job.reaped_token == token and job.status == "pending" else "lost"

    def _end_lease(self, job: ReferenceJob, token: str) -> None:
        job.lease_token = job.reaped_token = None
        job.settled_token = token
        job.sending = job.begun = False

    def _make_pending(self, job: ReferenceJob, *, ready_ms: int) -> None:
        job.status, job.ready_ms, job.run_at_ms = "pending", ready_ms, None

    def _finish(self, job: ReferenceJob, status: str) -> None:
        job.status, job.completed_ms, job.run_at_ms = status, self.now_ms, None
        job.cancel_requested = False
        self._count("succeeded" if status == "success" else status, job)

    def _in(self, status: str) -> list[ReferenceJob]:
        return [job for job in self.jobs.values() if job.status == status]

    def _rank(self, job: ReferenceJob) -> tuple[int, int, str]:
        # Within a millisecond jobs go by their ids, but for those on both sides of a multiple of
        # 2048: more does not fit the score.
        handicap_ms = self.head_start_ms if job.priority == "low" else 0
        return job.ready_ms + handicap_ms, job.id % 2048, str(job.id)

    def _count(self, event: str, job: ReferenceJob) -> None:
        self.counters[f"{event}:{job.job_type}"] += 1
