"""How an attempt ended: what a job's code raises, and what a worker tells the queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from app.queue.job import Job
from app.queue.submission import NewJob
from app.queue.text import clean_text

RESULT_MAX_BYTES = 32_768


class AttemptEnded(Exception):
    """Base of the three ways in which a job's code ends an attempt other than by returning.

    `smtp_code` and `result` (JSON-serialisable) are kept with the attempt and the job.
    `unconfirmed`: it passed its point of no return, and nobody can tell how that ended; counted.
    """

    unconfirmed = False

    def __init__(
        self,
        reason: str,
        *,
        smtp_code: int | None = None,
        result: Any = None,
        unconfirmed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.smtp_code = smtp_code
        self.result = result
        self.unconfirmed = unconfirmed


class PermanentFailure(AttemptEnded):
    """The job can never succeed: it ends as `permanently_failed` at once."""


class RetryLater(AttemptEnded):
    """The attempt failed; the next one is due after `delay_seconds`, if any is left."""

    def __init__(
        self,
        delay_seconds: float,
        reason: str,
        *,
        smtp_code: int | None = None,
        result: Any = None,
        unconfirmed: bool = False,
    ) -> None:
        super().__init__(reason, smtp_code=smtp_code, result=result, unconfirmed=unconfirmed)
        self.delay_seconds = delay_seconds


class GiveBack(AttemptEnded):
    """Nothing was tried (a breaker is open, a rate limit reached): no attempt is charged.

    The job is pending again at once, or scheduled when `delay_seconds` is above zero.
    """

    def __init__(self, delay_seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.delay_seconds = delay_seconds


class JobCancelled(AttemptEnded):
    """A person cancelled the job while it ran, and its code noticed in time."""

    def __init__(self, reason: str = "Cancelled while running.") -> None:
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One settled attempt, as `JobQueue.turn` takes it. Made by the functions below."""

    job_id: int
    token: str
    verb: Literal["complete", "fail", "release"]
    result: str = ""  # JSON, "" for none
    detail: str = ""  # JSON, for `fail` and `release`
    follow_ups: tuple[NewJob, ...] = ()  # to submit before it is told

    @property
    def in_words(self) -> str:
        """For a log: `success`, `failed: …`, `cancelled: …` or `released: …`."""
        if self.verb == "complete":
            return "success"
        detail: dict[str, Any] = json.loads(self.detail)
        how = "cancelled" if detail.get("cancelled") else _IN_WORDS[self.verb]
        return f"{how}: {detail['error']}"


_IN_WORDS = {"fail": "failed", "release": "released"}


def completed(job: Job, result: Any = None) -> Outcome:
    return Outcome(job.id, job.token or "", "complete", _result_json(result))


def failed(
    job: Job,
    error: str,
    *,
    retry_in_ms: int | None,
    smtp_code: int | None = None,
    result: Any = None,
    unconfirmed: bool = False,
) -> Outcome:
    """A failed attempt; `retry_in_ms=None` ends the job as `permanently_failed`."""
    detail: dict[str, Any] = {"error": clean_text(error)}
    if retry_in_ms is not None:
        detail["retry_in_ms"] = retry_in_ms
    if smtp_code is not None:
        detail["smtp_code"] = smtp_code
    if unconfirmed:
        detail["unconfirmed"] = True
    return Outcome(job.id, job.token or "", "fail", _result_json(result), json.dumps(detail))


def cancelled(job: Job, reason: str, *, result: Any = None) -> Outcome:
    detail = json.dumps({"error": clean_text(reason), "cancelled": True})
    return Outcome(job.id, job.token or "", "fail", _result_json(result), detail)


def released(job: Job, *, delay_ms: int = 0, reason: str = "") -> Outcome:
    """Given back without charging an attempt."""
    detail = json.dumps({"delay_ms": delay_ms, "error": clean_text(reason)})
    return Outcome(job.id, job.token or "", "release", "", detail)


def stopped(job: Job, reason: str) -> Outcome:
    """An attempt that was stopped because its lease is gone: whatever it did by then may be done
    twice, and is counted (`lost`)."""
    detail = json.dumps({"delay_ms": 0, "error": clean_text(reason), "began": True})
    return Outcome(job.id, job.token or "", "release", "", detail)


def _result_json(result: Any) -> str:
    if result is None:
        return ""
    try:
        text = json.dumps(result, separators=(",", ":"), allow_nan=False)
    # Whatever json raises (RecursionError too): the job succeeded and must not run again.
    except Exception as error:
        return json.dumps({"not_kept": f"The result is not JSON: {clean_text(str(error))}"})
    if len(text) > RESULT_MAX_BYTES:
        return json.dumps(
            {"not_kept": f"The result has {len(text)} bytes; {RESULT_MAX_BYTES} are allowed."}
        )
    return text
