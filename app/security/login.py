"""The login page, and what a browser sees that is not let in. Works without JavaScript."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

from flask import Blueprint, Flask, current_app, redirect, render_template, request, url_for
from werkzeug import Response

from app.security.access import SAFE_METHODS
from app.security.acting import audit
from app.security.limits import LoginThrottle
from app.security.people import Users
from app.security.refusals import LoginNeeded, NotAllowed, NotServed

log = logging.getLogger(__name__)
bp = Blueprint("login", __name__)

SEE_OTHER = 303
NAME_MAX_CHARS = 64
# A page of our own; nothing else is led to after the login.
_OWN_PAGE = re.compile(r"/dashboard(?:[/?][!-\[\]-~]*)?")


def register(app: Flask) -> None:
    app.register_blueprint(bp)
    app.register_error_handler(LoginNeeded, _lead_to_login)
    app.register_error_handler(NotAllowed, _not_allowed)
    app.register_error_handler(NotServed, _not_served)


@bp.get("/login")
def log_in() -> str | Response:
    users = _users()
    if not users or users.logged_in().may_look:
        return redirect(_next_page())
    return _form()


@bp.post("/login")
def try_to_log_in() -> str | Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    users, address = _users(), request.remote_addr or ""
    if not users:
        return redirect(_next_page(), SEE_OTHER)
    wait_seconds = _throttle().count(address)
    if wait_seconds:
        log.warning("Too many tries to log in from %s", address)
        page = _form(f"Too many tries from your address. Wait {wait_seconds} s.")
        return page, 429, {"Retry-After": str(wait_seconds)}
    name = request.form.get("name", "").strip()[:NAME_MAX_CHARS]
    user = users.check(name, request.form.get("password", ""))
    if user is None:
        # The name may be a password in the wrong field: it is not written down.
        log.warning("A login from %s failed", address)
        return _form("Name or password is wrong."), 403
    _throttle().succeeded(address)
    users.log_in(user)
    audit("log in", "the dashboard", by=f"dashboard {user.name} {address}")
    return redirect(_next_page(), SEE_OTHER)


@bp.post("/logout")
def log_out() -> Response:
    _users().log_out()
    return redirect(url_for("login.log_in"), SEE_OTHER)


def _form(problem: str = "") -> str:
    return render_template(
        "dashboard/login.html",
        problem=problem,
        next_page=_next_page(),
        name=request.form.get("name", _users().usual_name)[:NAME_MAX_CHARS],
    )


def _lead_to_login(error: LoginNeeded) -> Response:
    """A part of a page can't hold the login: 401, and htmx leads the whole page there."""
    if request.path.startswith("/dashboard/partials/") or "HX-Request" in request.headers:
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        page = f"{shown.path}?{shown.query}" if shown.query else shown.path
        response = Response("", 401)
        response.headers["HX-Redirect"] = _login_for(page)
        return response
    page = request.full_path.rstrip("?") if request.method in SAFE_METHODS else ""
    return redirect(_login_for(page), SEE_OTHER)


def _not_allowed(error: NotAllowed) -> tuple[str, int]:
    return render_template("dashboard/forbidden.html"), 403


def _not_served(error: NotServed) -> tuple[str, int]:
    return render_template("dashboard/not_served.html"), 403


def _login_for(page: str) -> str:
    usual = url_for("dashboard.index")
    wanted = page if _OWN_PAGE.fullmatch(page) and page != usual else None
    return url_for("login.log_in", next=wanted)


def _next_page() -> str:
    """Where the person was going: a page of our own, whatever the form or the address says."""
    wanted = request.values.get("next", "")
    return wanted if _OWN_PAGE.fullmatch(wanted) else url_for("dashboard.index")


def _users() -> Users:
    found: Users = current_app.extensions["users"]
    return found


def _throttle() -> LoginThrottle:
    found: LoginThrottle = current_app.extensions["login_throttle"]
    return found
