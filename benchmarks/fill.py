"""Fills a store with jobs of five types in all statuses, straight through the queue's scripts."""

from __future__ import annotations

import random

from app.queue import outcome as outcomes
from app.queue.job import Job, Priority
from app.queue.jobqueue import SUBMIT_MAX, JobQueue
from app.queue.outcome import Outcome
from app.queue.submission import NewJob

JOB_TYPES = ("send_email", "noop", "resize_image", "webhook", "report")
TAGS = ("newsletter", "invoice", "vip", "rare")
_TAG_SHARES = (0.018, 0.1, 0.004, 0.0005)
_TYPE_SHARES = (60, 10, 10, 10, 10)
_TITLES = ("Welcome to Example", "Your invoice {}", "Order {} has left", "Reset your password")
WORKERS = ("mail-host-01-12345-a1b2", "mail-host-02-23456-c3d4")
DAY_MS = 86_400_000


def fill(queue: JobQueue, jobs: int, payload: str, seed: int = 1) -> None:
    """Most jobs are done, some wait for a retry or were given up, a backlog waits at the end."""
    rng = random.Random(seed)
    backlog = jobs // 50
    held: list[Job] = []
    for first in range(0, jobs, SUBMIT_MAX):
        batch = [_new_job(rng, n, payload) for n in range(first, min(first + SUBMIT_MAX, jobs))]
        answers = queue.submit_many(batch)
        for answer in answers:
            if rng.random() < 0.004:
                queue.cancel(answer.job_id)  # type: ignore[union-attr]
        if first < jobs - backlog:
            held = _turn(rng, queue, held, SUBMIT_MAX)
        if first % (20 * SUBMIT_MAX) == 0:
            queue.promote()
    _turn(rng, queue, held, min(200, backlog // 4))  # and leave them processing


def _new_job(rng: random.Random, n: int, payload: str) -> NewJob:
    [job_type] = rng.choices(JOB_TYPES, _TYPE_SHARES)
    is_mail = job_type == "send_email"
    return NewJob(
        job_type,
        payload,
        priority=Priority.HIGH if rng.random() < 0.2 else Priority.LOW,
        delay_ms=DAY_MS if rng.random() < 0.01 else None,
        tags=tuple(t for t, p in zip(TAGS, _TAG_SHARES, strict=True) if rng.random() < p),
        title=rng.choice(_TITLES).format(n) if is_mail else None,
        people=(f"user{n % 50_000}@host{n % 500}.example",) if is_mail else (),
    )


def _turn(rng: random.Random, queue: JobQueue, held: list[Job], wanted: int) -> list[Job]:
    return queue.turn(rng.choice(WORKERS), [_outcome(rng, job) for job in held], wanted).jobs


def _outcome(rng: random.Random, job: Job) -> Outcome:
    luck = rng.random()
    if luck < 0.85:
        return outcomes.completed(job, {"transport": "mailbox"})
    if luck < 0.95:
        return outcomes.failed(job, "451 4.3.0 Try again later", retry_in_ms=0, smtp_code=451)
    if luck < 0.97:
        return outcomes.failed(job, "451 4.7.1 Greylisted", retry_in_ms=DAY_MS, smtp_code=451)
    if luck < 0.99:
        return outcomes.failed(job, "550 5.1.1 No such user", retry_in_ms=None, smtp_code=550)
    if luck < 0.995:
        return outcomes.released(job, delay_ms=DAY_MS, reason="the breaker is open")
    return outcomes.released(job)
