"""When a mail is tried again, and until when."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.mail.delays import deferred_delay, network_delay
from app.queue.job import Job

# As RFC 5321 section 4.5.4.1 wants mail to be tried for days; after two nobody waits for it.
TRY_FOR_SECONDS = 48 * 3_600.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One job's retries. All times in seconds, since the epoch where they are moments."""

    failures: int  # failed attempts before this one
    first_attempt_at: float
    base_seconds: float  # scales all delays
    expires_at: float | None
    is_limited: bool  # to 48 hours: nobody said how many attempts there may be
    now: Callable[[], float]
    rng: random.Random

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.now() >= self.expires_at

    @property
    def expiry(self) -> str:
        return f"The mail was not to be sent after {_written(self.expires_at or 0)}."

    def network_delay(self) -> float:
        return network_delay(self.failures, self.base_seconds, self.rng)

    def deferred_delay(self, reply: str) -> float:
        return deferred_delay(self.failures, self.base_seconds, self.rng, reply)

    def fit(self, delay_seconds: float) -> tuple[float | None, str]:
        """The delay, shortened for a last attempt while there is time; else None and why."""
        limits = []
        if self.expires_at is not None:
            limits.append((self.expires_at, self.expiry))
        if self.is_limited:
            end = self.first_attempt_at + TRY_FOR_SECONDS
            limits.append((end, "Given up: it was tried for 48 hours."))
        for end, why in sorted(limits):
            seconds_left = end - self.now()
            if seconds_left < delay_seconds / 2:
                return None, why
            # A little before the end, or the attempt would come to nothing.
            delay_seconds = min(delay_seconds, seconds_left * 0.98)
        return delay_seconds, ""


def schedule_of(
    job: Job,
    expires_at: float | None,
    *,
    base_seconds: float,
    max_retries: int | None,
    now: Callable[[], float],
    rng: random.Random,
) -> Schedule:
    """`max_retries` is MAX_RETRIES. It and the job's own replace the limit of 48 hours.

    This machine's clock may be wrong; the attempt began when the server says that the job was
    picked, and `now` only tells how long ago that was.
    """
    ahead = 0.0 if job.picked_at is None else job.picked_at - now()

    def server_now() -> float:
        return now() + ahead

    return Schedule(
        failures=job.retry_count,
        first_attempt_at=_first_attempt_at(job, server_now()),
        base_seconds=base_seconds,
        expires_at=expires_at,
        is_limited=job.max_retries is None and max_retries is None,
        now=server_now,
        rng=rng,
    )


def _first_attempt_at(job: Job, now: float) -> float:
    known = job.result.get("first_attempt_at") if isinstance(job.result, dict) else None
    if isinstance(known, int | float) and job.created_at <= known <= now:
        return float(known)
    return now


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
