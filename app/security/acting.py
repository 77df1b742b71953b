"""Who did something, written down in the audit log: one way for the API and the dashboard."""

from __future__ import annotations

import logging

from flask import current_app, request

from app.queue.audit import Audit
from app.queue.errors import QueueError
from app.security.access import api_key, person

log = logging.getLogger(__name__)


def who() -> str:
    """Who sent this request: face, name or key where one was asked for, address."""
    key = api_key()
    if key is not None:
        return f"api key {key.id} ({key.name}) {request.remote_addr}"
    face = "api" if request.blueprint == "api" else "dashboard"
    name = person().name
    return f"{face} {name} {request.remote_addr}" if name else f"{face} {request.remote_addr}"


def audit(action: str, subject: str, *, by: str | None = None) -> None:
    """Writes down who did what. What was done stands, so Redis going away now is no error."""
    found: Audit = current_app.extensions["audit"]
    acting = by or who()
    try:
        found.write(acting, action, subject)
    except QueueError as error:
        log.error("Not in the audit log: %s, %s, %s: %s", acting, action, subject, error)
