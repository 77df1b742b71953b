"""The job type `send_email`."""

from __future__ import annotations

from typing import Any

from app.jobs.mail_schema import MailSchema
from app.jobs.mail_service import mailer
from app.jobs.registry import job_type
from app.queue.job import Job


@job_type("send_email", schema=MailSchema, usual_max_retries=20, timeout_seconds=1800)
def send_email(job: Job) -> dict[str, Any]:
    """Sends one mail; see `Mailer.send` for the result and what each failure means."""
    return mailer().send(job, job.data)
