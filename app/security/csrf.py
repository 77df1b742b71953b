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
    # Looked at below, where it matters: not for each call of the API.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    protect = CSRFProtect(app)

    def guard() -> None:
        """Raises CSRFError; in the API ApiRefused, 403."""
        if request.method in SAFE_METHODS:
            return
        is_api = request.blueprint == "api"
        if not is_of_this_site():
            if is_api:
                raise ApiRefused(403, "Requests from pages of other sites are refused")
            raise CSRFError("The form was sent by a page of another site.")
        if not is_api and app.config["WTF_CSRF_ENABLED"]:
            protect.protect(apply_exemptions=True)

    app.before_request(guard)
    app.register_error_handler(CSRFError, _refused)


def is_of_this_site() -> bool:
    """Whether a page of our own, or no page at all, sent the request."""
    environ = request.environ
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in ("same-origin", "none")
    # An old browser, or plain HTTP to another machine.
    origin = environ.get("HTTP_ORIGIN")
    return origin is None or urlsplit(origin).netloc == request.host


def _refused(error: CSRFError) -> tuple[str, int]:
    log.info("Refused: %s", error.description)
    return render_template("dashboard/refused.html"), 400
