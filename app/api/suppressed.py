"""Refuses jobs that would mail somebody who is on the suppression list."""

from __future__ import annotations

from collections.abc import Sequence

from flask import current_app

from app.api.errors import ApiError, InvalidFields
from app.jobs import find
from app.queue.submission import NewJob
from app.queue.suppressions import Suppression, Suppressions


def refuse_suppressed(jobs: Sequence[NewJob | ApiError]) -> list[NewJob | ApiError]:
    """The same, in order, with an InvalidFields for each job that has such a recipient.

    Asks Redis once for all of them. Raises QueueUnavailable.
    """
    if not current_app.extensions["config"].mail_suppression:
        return list(jobs)
    checked = [job for job in jobs if isinstance(job, NewJob) and find(job.job_type).recipients]
    found = suppressions().find(person for job in checked for person in job.people)
    if not found:  # nearly always
        return list(jobs)
    return [_checked(job, found) if isinstance(job, NewJob) else job for job in jobs]


def suppressions() -> Suppressions:
    store: Suppressions = current_app.extensions["suppressions"]
    return store


def _checked(job: NewJob, found: dict[str, Suppression]) -> NewJob | InvalidFields:
    job_type = find(job.job_type)
    if job_type.recipients is None or not found.keys() & set(job.people):
        return job
    # Only now it matters in which field the address stands.
    fields = job_type.recipients(job_type.validate(job.payload))
    errors = {
        name: [_refusal(found[address]) for address in addresses if address in found]
        for name, addresses in fields.items()
    }
    return InvalidFields({"payload": {name: said for name, said in errors.items() if said}})


def _refusal(entry: Suppression) -> str:
    reason = entry.reason.rstrip(". ")
    return (
        f"{entry.address} is on the suppression list: {reason}. To send there again, remove "
        f"it: DELETE /api/suppressions/{entry.address}, or flask suppressions remove."
    )
