"""The links at the top of every page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from flask import current_app, request, url_for

from app.dashboard import clock


class PageLink(NamedTuple):
    name: str
    url: str
    key: str  # pressed after `g`
    current: bool


def pages() -> Iterator[PageLink]:
    """The pages that this copy has."""
    for name, endpoint, key in _PAGES:
        if page_exists(endpoint):
            url = url_for(endpoint)
            yield PageLink(name, url, key, _stands_under(url))


def page_exists(endpoint: str) -> bool:
    # With a mail server there is no mailbox to look into.
    if endpoint == "dashboard.mailbox" and current_app.extensions["config"].smtp_host:
        return False
    return endpoint in current_app.view_functions


def server_time() -> float:
    """Seconds since the epoch. A browser whose clock is wrong shows right ages nevertheless."""
    return clock.last_known()


def _stands_under(url: str) -> bool:
    if url == "/dashboard":
        return request.path == url or request.path.startswith("/dashboard/jobs")
    return request.path == url or request.path.startswith(f"{url}/")


_PAGES = (
    ("Jobs", "dashboard.index", "j"),
    ("Charts", "dashboard.charts", "c"),
    ("Workers", "dashboard.workers", "w"),
    ("Mailbox", "dashboard.mailbox", "m"),
    ("Operations", "dashboard.operations", "o"),
    ("Suppressions", "dashboard.suppressions", "s"),
    ("Audit", "dashboard.audit_log", "a"),
    ("API", "api.docs", "d"),
)
