"""Sends a mail, and says how that ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.mail.mailer import Mailer
from app.queue.job import Job
from app.queue.outcome import PermanentFailure, RetryLater
from tests.mail.support import TIMEOUTS

RECIPIENT = "user@example.com"
IMPATIENT = replace(TIMEOUTS, greeting=0.2, command=0.2, data=0.2, final=0.2)
NETWORK_SECONDS = (1.0, 30.0)  # for the first failure, base 30 s
DEFERRED_SECONDS = (150.0, 300.0)


def send(mailer: Mailer, job: Job) -> dict[str, Any]:
    return mailer.send(job, job.data)


def retry(mailer: Mailer, job: Job, seconds: tuple[float, float]) -> RetryLater:
    with pytest.raises(RetryLater) as raised:
        send(mailer, job)
    low, high = seconds
    assert low <= raised.value.delay_seconds <= high
    return raised.value


def permanent(mailer: Mailer, job: Job) -> PermanentFailure:
    with pytest.raises(PermanentFailure) as raised:
        send(mailer, job)
    return raised.value


def status_of(result: Any, email: str = RECIPIENT) -> str:
    return result["recipients"][email]["status"]
