"""The job type `send_email`."""

from __future__ import annotations

from typing import Any

from app.jobs.events import follow_ups
from app.jobs.mail_schema import MailSchema
from app.jobs.mail_service import mailer
from app.jobs.registry import Summary, job_type
from app.mail.mail import Mail
from app.queue.job import Job


def summary(mail: Mail) -> Summary:
    """The subject and everyone it goes to."""
    return Summary(mail.subject or None, tuple(address.email for address in mail.recipients))


def recipients(mail: Mail) -> dict[str, tuple[str, ...]]:
    """The addresses in each field of the payload."""
    fields = {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}
    return {name: tuple(one.email for one in those) for name, those in fields.items()}


def senders(mail: Mail) -> dict[str, tuple[str, ...]]:
    """Each with its domain in Unicode and in ASCII. Without `from`: MAIL_FROM."""
    fields = {
        "from": mail.sender or mailer().senders.default,
        "envelope_from": mail.envelope_from,
        "reply_to": mail.reply_to,
    }
    return {name: (one.email, one.wire) for name, one in fields.items() if one}


@job_type(
    "send_email",
    schema=MailSchema,
    usual_max_retries=20,
    timeout_seconds=1800,
    summary=summary,
    recipients=recipients,
    follow_ups=follow_ups,
    senders=senders,
)
def send_email(job: Job) -> dict[str, Any]:
    """Sends one mail; see `Mailer.send` for the result and what each failure means."""
    return mailer().send(job, job.data)
