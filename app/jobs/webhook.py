"""The job type `webhook`: delivers one event, signed by the Standard Webhooks specification 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import ssl
import time
from collections.abc import Iterable
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, fields

from app.jobs import public_http
from app.jobs.registry import job_type
from app.jobs.silent_hosts import SilentHosts
from app.jobs.webhook_settings import settings
from app.mail.text import clean_reply
from app.queue.job import Job
from app.queue.outcome import PermanentFailure, RetryLater

JOB_TYPE = "webhook"
MAX_RETRIES = 10
# The specification's own example: ten attempts within about three days.
DELAYS_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
_USUAL_BASE_SECONDS = 30.0
_QUOTED_MAX_BYTES = 200
_silent_hosts = SilentHosts()


class WebhookSchema(Schema):
    url = fields.String(required=True)
    id = fields.String(required=True)  # the header `webhook-id`, the same on every attempt
    event = fields.Dict(required=True)  # what is sent: type, timestamp, data


def backoff(retry_count: int) -> float:
    """Seconds to wait after so many failed attempts. RETRY_BASE_SECONDS scales it."""
    delay = DELAYS_SECONDS[min(retry_count, len(DELAYS_SECONDS)) - 1]
    return delay * random.uniform(0.8, 1.2) * settings().retry_base_seconds / _USUAL_BASE_SECONDS


# Longer than the POST's own limit and a slow name server together: those end by themselves.
@job_type(
    JOB_TYPE,
    schema=WebhookSchema,
    max_retries=MAX_RETRIES,
    timeout_seconds=120,
    backoff=backoff,
    internal=True,
)
def webhook(job: Job) -> dict[str, Any]:
    """`{"status": 204}`. Raises RetryLater, and PermanentFailure when no retry can help."""
    return deliver(job.data, job.retry_count, now=time.time())


def deliver(
    data: dict[str, Any],
    failures: int,
    *,
    now: float,
    total_seconds: float = public_http.TOTAL_SECONDS,
    resolve: public_http.Resolve = public_http.resolve,
    tls: ssl.SSLContext | None = None,
    silent_hosts: SilentHosts = _silent_hosts,
) -> dict[str, Any]:
    """One attempt, after so many `failures`, at `now` (seconds since the epoch)."""
    if not settings().keys:
        raise PermanentFailure("Events can't be signed: WEBHOOK_SECRET is not set.")
    host = urlsplit(data["url"]).netloc
    if not silent_hosts.may_try(host, time.monotonic()):
        raise RetryLater(backoff(failures + 1), "Not tried: the receiver did not answer others.")
    body = json.dumps(data["event"], separators=(",", ":")).encode()
    stamp = str(int(now))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mailroom",
        "webhook-id": data["id"],
        "webhook-timestamp": stamp,
        "webhook-signature": signatures(settings().keys, data["id"], stamp, body),
    }
    try:
        answer = public_http.post(
            data["url"],
            body,
            headers,
            allow_private=settings().allow_private,
            tls=tls or _tls(),
            total_seconds=total_seconds,
            resolve=resolve,
        )
    except public_http.Forbidden as error:
        raise PermanentFailure(str(error)) from None
    except (OSError, HTTPException) as error:
        if isinstance(error, TimeoutError):
            silent_hosts.timed_out(host, time.monotonic())
        reason = f"No answer: {str(error) or type(error).__name__}"
        raise RetryLater(backoff(failures + 1), reason) from None
    silent_hosts.answered(host)
    return _judge(answer, failures)


def signatures(keys: Iterable[bytes], webhook_id: str, timestamp: str, body: bytes) -> str:
    """The header `webhook-signature`: HMAC-SHA256 of id, timestamp and body in base64, by each key.

    A receiver that knows one of the keys finds its signature among them.
    """
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _judge(answer: public_http.Answer, failures: int) -> dict[str, Any]:
    status = answer.status
    if 200 <= status < 300:
        return {"status": status}
    said = f"The receiver answered {status}"
    if 300 <= status < 400:
        raise PermanentFailure(f"{said}, a redirect: those are not followed.")
    if status == 410:
        raise PermanentFailure(f"{said}: it wants no more events.")
    delay = backoff(failures + 1)
    if answer.retry_after.isascii() and answer.retry_after.isdigit():
        delay = max(delay, min(float(answer.retry_after[:9]), DELAYS_SECONDS[-1]))
    text = clean_reply(answer.text, _QUOTED_MAX_BYTES)
    raise RetryLater(delay, f"{said}: {text}" if text else f"{said}.")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
