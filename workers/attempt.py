"""From what a job's code did to the outcome that the queue is told."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from app.config import Config
from app.jobs import (
    GiveBack,
    InvalidPayload,
    JobCancelled,
    PermanentFailure,
    RetryLater,
    UnknownJobType,
    find,
)
from app.queue import outcome as outcomes
from app.queue.errors import LeaseLost, QueueUnavailable
from app.queue.job import Job, backoff_ms
from app.queue.outcome import AttemptEnded, Outcome
from workers.slot import Interrupted

log = logging.getLogger(__name__)

MAX_RETRIES = 3  # of a job whose type this worker doesn't know
DELAY_MAX_MS = 10 * 365 * 86_400_000


def attempt(
    job: Job, process_job: Callable[[Job], Any], config: Config, rng: random.Random
) -> Outcome:
    """Runs the job and says how that ended. Raises nothing but Interrupted."""
    try:
        return outcomes.completed(job, process_job(job))
    except Interrupted:
        raise
    except AttemptEnded as end:
        try:
            return _as_the_job_chose(job, end, config)
        except Exception as error:  # a delay that is no number, a subclass without its fields
            log.warning("Job %d (%s) ended unclearly", job.id, job.job_type, exc_info=True)
            return failed(job, f"Unusable {_described(end)} ({_described(error)})", config, rng)
    except QueueUnavailable as error:  # nothing was tried, or the job would not have asked Redis
        delay_ms = _delay_ms(config.retry_base_seconds)
        return outcomes.released(job, delay_ms=delay_ms, reason=str(error))
    except LeaseLost as error:
        return outcomes.released(job, reason=str(error))
    except InvalidPayload as error:
        return outcomes.failed(job, f"Invalid payload: {error}", retry_in_ms=None)
    except BaseException as error:  # a job may even call sys.exit(); the worker stays
        log.info("Job %d (%s) failed", job.id, job.job_type, exc_info=True)
        return failed(job, _described(error), config, rng)


def failed(job: Job, error: str, config: Config, rng: random.Random) -> Outcome:
    """A failed attempt; the job type's backoff, or the common one, says when the next is due."""
    delay_ms = _if_attempts_left(job, config, _backoff_ms(job, config, rng))
    return outcomes.failed(job, error, retry_in_ms=delay_ms)


def _as_the_job_chose(job: Job, end: AttemptEnded, config: Config) -> Outcome:
    reason = str(end.reason)
    if isinstance(end, JobCancelled):
        return outcomes.cancelled(job, reason, result=end.result)
    if isinstance(end, GiveBack):
        return outcomes.released(job, delay_ms=_delay_ms(end.delay_seconds), reason=reason)
    delay_ms = None
    if isinstance(end, RetryLater):
        delay_ms = _if_attempts_left(job, config, _delay_ms(end.delay_seconds))
    elif not isinstance(end, PermanentFailure):
        raise TypeError("only its subclasses say how the attempt ended")
    return outcomes.failed(
        job,
        reason,
        retry_in_ms=delay_ms,
        smtp_code=end.smtp_code,
        result=end.result,
        unconfirmed=end.unconfirmed,
    )


def _backoff_ms(job: Job, config: Config, rng: random.Random) -> int:
    retry_count = job.retry_count + 1
    try:
        own_backoff = find(job.job_type).backoff
    except UnknownJobType:
        own_backoff = None
    if own_backoff:
        try:
            return _delay_ms(own_backoff(retry_count))
        except Exception:
            log.exception("The backoff of job type %s fails: the common one rules", job.job_type)
    return backoff_ms(
        retry_count,
        base_ms=max(1, int(config.retry_base_seconds * 1000)),
        max_ms=int(config.retry_max_seconds * 1000),
        rng=rng,
    )


def _if_attempts_left(job: Job, config: Config, delay_ms: int) -> int | None:
    try:
        max_retries = find(job.job_type).max_retries_for(job.max_retries, config.max_retries)
    except UnknownJobType:
        asked = (job.max_retries, config.max_retries, MAX_RETRIES)
        max_retries = next(value for value in asked if value is not None)
    return delay_ms if job.retry_count + 1 < max_retries else None


def _delay_ms(seconds: float) -> int:
    return max(0, min(int(seconds * 1000), DELAY_MAX_MS))


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its __str__ fails
        return type(error).__name__
