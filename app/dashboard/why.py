"""Why a job is not running: the reasons in order, the first one being what to mend or wait for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.dashboard.mail_preview import JOB_TYPE as MAIL
from app.dashboard.presence import OpenBreaker
from app.jobs.mail_service import domains_at_their_rate
from app.queue.job import Attempt, Job, Status

OVERDUE_SECONDS = 15.0  # housekeeping comes every few seconds


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence. It ends with the moment `at` (seconds since the epoch), where that is set."""

    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What beside the job decides whether it runs. `now` in seconds since the epoch."""

    now: float
    paused: bool
    main_workers: frozenset[str]  # names of those alive
    position: int | None = None  # pending jobs that rank before it
    last_attempt: Attempt | None = None
    breakers: tuple[OpenBreaker, ...] = ()  # of the main workers alive

    def holds_all_mail(self, job: Job) -> bool:
        return job.job_type == MAIL and 0 < len(self.main_workers) <= len(self.breakers)


def reasons(job: Job, around: Surroundings) -> list[Reason]:
    """Empty when the job has come to its end, or runs as it should."""
    return [reason for find in _FINDERS.get(job.status, ()) for reason in find(job, around)]


def _paused(_: Job, around: Surroundings) -> Iterator[Reason]:
    if around.paused:
        yield Reason("The queue is paused: nothing is handed out until someone resumes it.")


def _no_worker(_: Job, around: Surroundings) -> Iterator[Reason]:
    if not around.main_workers:
        yield Reason("No worker is alive. It is safe in Redis, and runs when a worker starts.")


def _scheduled(job: Job, around: Surroundings) -> Iterator[Reason]:
    if job.run_at is None:
        return
    if _is_overdue(job, around):
        yield Reason("No retry worker is at work: nobody has moved this job, due", job.run_at)
    elif job.attempts and around.last_attempt and around.last_attempt.outcome == "released":
        yield Reason(_given_back(around.last_attempt.error), job.run_at)
    else:
        yield Reason("It is scheduled for", job.run_at)


def _given_back(cause: str | None) -> str:
    if domains := domains_at_their_rate(cause or ""):
        return (
            f"Its turn has not come: mail to {domains} keeps to a rate (MAIL_DOMAIN_RATE). "
            "That cost it no attempt, and it is due"
        )
    cause = cause or "its worker could not begin"
    return f"It was given back without an attempt ({_bare(cause)}) and is due"


def _retry(job: Job, around: Surroundings) -> Iterator[Reason]:
    if job.run_at is None:
        return
    if _is_overdue(job, around):
        yield Reason("No retry worker is at work: nobody has moved this job, due", job.run_at)
    else:
        attempt = _ordinal(job.retry_count + 1)
        yield Reason(f"It waits for its {attempt} attempt, due", job.run_at)


def _breaker_open(job: Job, around: Surroundings) -> Iterator[Reason]:
    if job.job_type != MAIL or not around.breakers:
        return
    why = "; ".join(sorted({_bare(breaker.reason) for breaker in around.breakers}))
    probes = [b.next_probe_at for b in around.breakers if b.next_probe_at is not None]
    if around.holds_all_mail(job):
        text = f"No mail can go out now ({why}). Waiting costs it no attempt."
    else:
        number, workers = len(around.breakers), len(around.main_workers)
        sends = "sends" if number == 1 else "send"
        text = f"{number} of {workers} workers {sends} no mail now ({why})."
    yield Reason(f"{text} The next probe is due", min(probes)) if probes else Reason(text)


def _behind_others(job: Job, around: Surroundings) -> Iterator[Reason]:
    is_held = around.paused or not around.main_workers or around.holds_all_mail(job)
    if around.position:
        jobs = "1 job ranks" if around.position == 1 else f"{around.position:,} jobs rank"
        yield Reason(f"{jobs} before it.")
    elif around.position == 0 and not is_held:
        yield Reason("It is the next one: it runs as soon as a worker has a free slot.")


def _cancel_requested(job: Job, _: Surroundings) -> Iterator[Reason]:
    if job.cancel_requested:
        yield Reason("It is being cancelled: its worker stops it at the next heartbeat.")


def _worker_silent(job: Job, around: Surroundings) -> Iterator[Reason]:
    if job.worker not in around.main_workers:
        yield Reason(
            f"Its worker {job.worker} is silent. When the lease has run out, the job is given "
            "to another one."
        )


_FINDERS = {
    Status.SCHEDULED: (_scheduled, _paused, _no_worker, _breaker_open),
    Status.PENDING: (_paused, _no_worker, _breaker_open, _behind_others),
    Status.PROCESSING: (_cancel_requested, _worker_silent),
    Status.FAILED: (_retry, _paused, _no_worker, _breaker_open),
}


def _is_overdue(job: Job, around: Surroundings) -> bool:
    return job.run_at is not None and job.run_at < around.now - OVERDUE_SECONDS


def _bare(sentence: str) -> str:
    return sentence.rstrip(". ")


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else _ORDINAL_ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


_ORDINAL_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
