"""Settings, time and jobs for the tests of mail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.jobs import find
from app.jobs import send_email as _  # noqa: F401  registers the job type
from app.mail.client import Timeouts
from app.mail.mailer import Mailer
from app.queue.job import Job, Priority, Status

MakeMailer = Callable[..., Mailer]

CREATED_AT = 1_748_783_995.842
# Generous enough for a loaded machine; tests of silence set shorter ones.
TIMEOUTS = Timeouts(10, 10, 10, 10, 10, 10, 10, 2)
EXAMPLE = {
    "to": "user@example.com",
    "subject": "Test Email",
    "message": "This is a test email.",
}


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path("data")
    retry_base_seconds: float = 30.0
    max_retries: int | None = None
    smtp_host: str = ""
    smtp_port: int | None = None
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_security: str = "none"
    smtp_ca_file: str = ""
    smtp_helo_name: str = ""
    smtp_max_messages_per_connection: int = 100
    mail_from: str = "Mailroom <mailroom@localhost>"
    mail_allowed_from: tuple[str, ...] = ()
    mail_dkim_domain: str = ""
    mail_dkim_selector: str = ""
    mail_dkim_key_file: str = ""
    mail_suppression: bool = False
    webhook_url: str = ""
    webhook_secret: str = ""
    webhook_events: tuple[str, ...] = ("sent", "deferred", "bounced", "failed")
    webhook_allow_private: bool = False
    key_prefix: str = ""
    server_url: str = ""
    job_modules: tuple[str, ...] = ()


class Clock:
    def __init__(self, now: float = CREATED_AT + 5) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_job(payload: dict[str, Any] | None = None, **attributes: Any) -> Job:
    """A job as the worker hands it to the job type. Needs a Mailer to be there."""
    text = json.dumps(payload or EXAMPLE)
    usual = {"id": 7, "created_at": CREATED_AT, "status": Status.PROCESSING}
    job = Job(job_type="send_email", payload=text, priority=Priority.LOW, **(usual | attributes))
    job.data = find("send_email").validate(text, strict=False)
    return job
