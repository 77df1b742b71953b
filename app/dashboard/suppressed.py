"""Which of a job's recipients get no mail, and what that means for it, in a sentence."""

from __future__ import annotations

from flask import current_app

from app.jobs import UnknownJobType, find
from app.queue.job import Job, Status
from app.queue.suppressions import Suppressions


def suppressed_people(job: Job) -> list[str]:
    """Those on the suppression list. Raises QueueUnavailable."""
    if not current_app.extensions["config"].mail_suppression or not _is_mail(job):
        return []
    store: Suppressions = current_app.extensions["suppressions"]
    return list(store.find(job.people))


def suppression_note(job: Job) -> str:
    """What becomes of it because of the list; "" when nobody of it is there, or it is sent."""
    if job.status == Status.SUCCESS:
        return ""
    found = suppressed_people(job)
    if not found:
        return ""
    named = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    what = (
        "an attempt fails for good"
        if len(found) == len(job.people)
        else "an attempt goes to the others alone"
    )
    is_are = "is" if len(found) == 1 else "are"
    return f"{named} {is_are} on the suppression list, so {what}. To mail there, remove it first."


def _is_mail(job: Job) -> bool:
    try:
        return find(job.job_type).recipients is not None
    except UnknownJobType:  # its module is no longer loaded here
        return False
