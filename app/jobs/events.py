"""What became of a mail, as events: after each attempt, the jobs that tell a webhook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from app.jobs.registry import InvalidPayload, find
from app.jobs.webhook import JOB_TYPE
from app.jobs.webhook_settings import settings
from app.mail.mail import Mail
from app.queue.job import Job
from app.queue.outcome import Outcome
from app.queue.submission import NewJob

Recipients = dict[str, dict[str, Any]]

# No `Idempotency-Key` header holds it: a client can't take an event's key.
_OUR_KEY = "\x1f"
_OPEN = ("pending", "deferred")


def follow_ups(job: Job, outcome: Outcome, now: float) -> list[NewJob]:
    """The jobs that tell what an attempt at a mail came to, `now` (seconds since the epoch).

    The same attempt always makes the same keys, so that submitting them again is harmless.
    """
    mail = _mail(job)
    url = (mail.webhook if mail else None) or settings().url
    if not url or outcome.verb == "release":
        return []
    result = json.loads(outcome.result) if outcome.result else {}
    detail = json.loads(outcome.detail) if outcome.detail else {}
    before = _before(job, mail)
    after = result.get("recipients") if isinstance(result, dict) else None
    news = _news(job, before, after or before, outcome, detail)
    return [
        _delivery(url, job, event_type, _data(job, mail, recipients, error), now)
        for event_type, recipients, error in news
        if event_type in settings().events
    ]


def _mail(job: Job) -> Mail | None:
    if isinstance(job.data, Mail):
        return job.data
    try:  # the job ran in a process of its own
        mail: Mail = find(job.job_type).validate(job.payload, strict=False)
    except InvalidPayload:
        return None
    return mail


def _before(job: Job, mail: Mail | None) -> Recipients:
    """The recipients as the attempt found them."""
    before: Recipients = {}
    if mail:
        before = {address.email: {"status": "pending"} for address in mail.recipients}
    earlier = job.result.get("recipients") if isinstance(job.result, dict) else None
    if isinstance(earlier, dict):
        before |= earlier
    if any(entry["status"] in _OPEN for entry in before.values()):
        return before
    # A person had it tried again, so those that bounced were asked again.
    return {
        email: {"status": "pending"} if entry["status"] == "bounced" else entry
        for email, entry in before.items()
    }


def _news(
    job: Job, before: Recipients, after: Recipients, outcome: Outcome, detail: dict[str, Any]
) -> Iterator[tuple[str, Recipients, str | None]]:
    """Event type, whom it is about, and why."""
    for event_type in ("sent", "bounced"):
        changed = {
            email: entry
            for email, entry in after.items()
            if entry["status"] == event_type != before.get(email, {}).get("status")
        }
        if changed:
            yield event_type, changed, None
    if outcome.verb != "fail" or detail.get("cancelled"):
        return
    if "retry_in_ms" not in detail:
        unsent = {email: entry for email, entry in after.items() if entry["status"] != "sent"}
        yield "failed", unsent, detail["error"]
    elif not job.cancel_requested:
        still_open = {email: entry for email, entry in after.items() if entry["status"] in _OPEN}
        yield "deferred", still_open, detail["error"]


def _data(job: Job, mail: Mail | None, recipients: Recipients, error: str | None) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "attempt": job.attempts,
        "subject": mail.subject if mail else None,
        "tags": list(job.tags),
        "recipients": [
            {
                "email": email,
                "status": entry["status"],
                "code": entry.get("code"),
                "reply": entry.get("reply"),
            }
            for email, entry in recipients.items()
        ],
        "error": error,
    }


def _delivery(url: str, job: Job, event_type: str, data: dict[str, Any], now: float) -> NewJob:
    name = f"{job.id}:{job.attempts}:{event_type}"
    # With the time, so that another installation's events have other ids.
    digest = hashlib.sha256(f"{job.created_at}:{name}".encode()).hexdigest()
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    payload = {
        "url": url,
        "id": f"evt_{digest[:32]}",
        "event": {
            "type": f"mail.{event_type}",
            "timestamp": moment.replace("+00:00", "Z"),
            "data": data,
        },
    }
    return NewJob(
        JOB_TYPE,
        json.dumps(payload),
        idempotency_key=f"{_OUR_KEY}event:{name}",
        title=f"mail.{event_type} of job {job.id}",
        request_id=job.request_id,
    )
