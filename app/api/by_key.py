"""What an API key allows beside its scopes: as whom to send, and how many jobs a day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from flask import current_app

from app.api.errors import ApiError, InvalidFields
from app.jobs import find
from app.queue.submission import NewJob
from app.security.access import api_key
from app.security.limits import DailyQuota


def refuse_senders(jobs: Sequence[NewJob | ApiError]) -> list[NewJob | ApiError]:
    """The same, in order, with an InvalidFields for each mail the request's key may not send."""
    key = api_key()
    if key is None or not key.senders:  # nearly always
        return list(jobs)
    return [_checked(job, key.senders) if isinstance(job, NewJob) else job for job in jobs]


def charged(jobs: int) -> AbstractContextManager[list[int]]:
    """Counts jobs against the quota of the request's key; see DailyQuota.charged."""
    quota: DailyQuota = current_app.extensions["daily_quota"]
    return quota.charged(api_key(), jobs, now=time.time())


def _checked(job: NewJob, allowed: tuple[str, ...]) -> NewJob | InvalidFields:
    job_type = find(job.job_type)
    if job_type.senders is None:
        return job
    refused = f"This API key may not send as this. Allowed: {', '.join(allowed)}."
    fields = job_type.senders(job_type.validate(job.payload))
    errors = {
        name: [refused] for name, spellings in fields.items() if not _is_among(spellings, allowed)
    }
    return InvalidFields({"payload": errors}) if errors else job


def _is_among(spellings: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    addresses = {spelling.casefold() for spelling in spellings}
    domains = {address.rpartition("@")[2] for address in addresses}
    # An entry without a local part is a domain.
    return any(entry in addresses or entry.removeprefix("@") in domains for entry in allowed)
