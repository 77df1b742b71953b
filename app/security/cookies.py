"""The session's cookie goes over TLS alone where we are reached over TLS."""

from __future__ import annotations

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface


class Cookies(SecureCookieSessionInterface):
    """A setting could be forgotten; the request itself says how it came."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # Callers of the API have no cookie; what reads one costs more than the rest of the session.
        if app.secret_key and self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure
