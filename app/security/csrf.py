"""No page of another site acts through the browser of someone who may use the dashboard.

Two locks, either of which would do: `Sec-Fetch-Site` (or `Origin`), which browsers set and pages
can't, and a token that only our own pages hold. The JSON API has the first lock alone: it takes
neither forms nor cookies.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from flask import Flask, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect

from app.security.access import SAFE_METHODS
from app.security.refusals import ApiRefused

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    # As long as the session: a dashboard stays open for days.
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.before_request(_refuse_other_sites)
    protect = CSRFProtect(app)
    protect.exempt(app.blueprints["api"])
    app.register_error_handler(CSRFError, _refused)


def _refuse_other_sites() -> None:
    """Raises CSRFError; in the API ApiRefused, 403."""
    if request.method in SAFE_METHODS or is_of_this_site():
        return
    if request.blueprint == "api":
        raise ApiRefused(403, "Requests from pages of other sites are refused")
    raise CSRFError("The form was sent by a page of another site.")


def is_of_this_site() -> bool:
    """Whether a page of our own, or no page at all, sent the request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    # An old browser, or plain HTTP to another machine.
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _refused(error: CSRFError) -> tuple[str, int]:
    log.info("Refused: %s", error.description)
    return render_template("dashboard/refused.html"), 400
