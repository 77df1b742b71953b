"""Who may call what: one guard in front of every route, and what it asks for each.

What stands in no table here is not public: a page is for who is logged in, a form for operators,
an endpoint of the API for keys with `read` or, where it changes something, `admin`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

from flask import Flask, current_app, g, request
from werkzeug.exceptions import LengthRequired

from app.config import Config
from app.queue.errors import QueueError
from app.security.api_keys import ApiKey, ApiKeys
from app.security.exposure import serves_strangers
from app.security.limits import RequestRate
from app.security.people import ANYBODY, STRANGER, Person, Users
from app.security.refusals import KeyNeeded, LoginNeeded, NotAllowed, NotServed, ScopeNeeded

Need = Literal["nothing", "submit", "read", "admin", "viewer", "operator"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
STRANGERS_FORM_MAX_BYTES = 16 * 1024
# Endpoints for everyone: they tell nothing of any job.
_PUBLIC = frozenset(
    {
        "static",
        "health.healthz",
        "health.readyz",
        "api.openapi_json",
        "api.docs",
        "login.log_in",
        "login.try_to_log_in",
        "login.log_out",
    }
)
_FOR_PEOPLE_TOO = frozenset({"api.docs"})
_SUBMITTING = frozenset({"api.process_query", "api.batch"})
# Says itself that Redis is away, and then nothing else; to say so it must be let in.
_TELLS_THAT_REDIS_IS_AWAY = "health.metrics"


def register(app: Flask) -> None:
    app.before_request(_guard)
    app.add_template_global(person)


def need_of(endpoint: str, method: str) -> Need:
    if endpoint in _PUBLIC:
        return "nothing"
    is_safe = method in SAFE_METHODS
    if endpoint.startswith("dashboard."):
        return "viewer" if is_safe else "operator"
    if endpoint in _SUBMITTING:
        return "submit"
    return "read" if is_safe else "admin"


def person() -> Person:
    """Who sits at the dashboard."""
    found: Person = g.get("person", STRANGER)
    return found


def api_key() -> ApiKey | None:
    """The key that this request came with; None where none was needed."""
    found: ApiKey | None = g.get("api_key")
    return found


def _guard() -> None:
    """Raises ApiRefused, LoginNeeded, NotAllowed, NotServed, QueueUnavailable."""
    if request.endpoint is None:  # no such route: a 404 or 405 for everyone, on our usual page
        _look_who()
        return
    need = need_of(request.endpoint, request.method)
    match need:
        case "nothing":
            _read_little()
            if request.endpoint in _FOR_PEOPLE_TOO:
                _look_who()
        case "viewer" | "operator":
            g.person = _person()
            if need == "operator" and not g.person.may_act:
                raise NotAllowed
        case _:
            try:
                g.api_key = _api_key(need)
            except QueueError:
                if request.endpoint != _TELLS_THAT_REDIS_IS_AWAY:
                    raise


def _look_who() -> None:
    """Who is logged in sees the links to the other pages; nobody is turned away."""
    with suppress(LoginNeeded, NotServed):
        g.person = _person()


def _read_little() -> None:
    """Of what a stranger sends, which is a login at most. Raises LengthRequired."""
    request.max_content_length = STRANGERS_FORM_MAX_BYTES
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        raise LengthRequired


def _api_key(scope: Need) -> ApiKey | None:
    keys: ApiKeys = current_app.extensions["api_keys"]
    given: str = request.environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, text = given.partition(" ")
    if scheme.lower() != "bearer":
        if not _asks_nothing_of_callers(keys):
            raise KeyNeeded
        return None
    key = keys.find(text.strip())
    if key is None:
        raise KeyNeeded(given=True)
    if not key.may(scope):
        raise ScopeNeeded(scope)
    now = time.time()
    rate: RequestRate = current_app.extensions["request_rate"]
    rate.count(key, now=now)
    keys.note_use(key, now=now)
    return key


def _asks_nothing_of_callers(keys: ApiKeys) -> bool:
    config: Config = current_app.extensions["config"]
    # A login that anybody could get around with curl would be none.
    is_closed = config.has_login and not config.allow_insecure
    return not is_closed and serves_strangers(config, _connection()) and not keys.any_made()


def _person() -> Person:
    users: Users = current_app.extensions["users"]
    if not users:
        if not serves_strangers(current_app.extensions["config"], _connection()):
            raise NotServed
        return ANYBODY
    found = users.logged_in()
    if not found.may_look:
        raise LoginNeeded
    return found


def _connection() -> dict[str, str]:
    """What the request says of where it comes from, before any proxy's word was believed."""
    environ = request.environ
    before: dict[str, str] | None = environ.get("werkzeug.proxy_fix.orig")
    return {**environ, **before} if before else environ
