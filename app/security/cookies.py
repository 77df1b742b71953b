"""The session's cookie goes over TLS alone where we are reached over TLS."""

from __future__ import annotations

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class Cookies(SecureCookieSessionInterface):
    """A setting could be forgotten; the request itself says how it came."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # Callers of the API have no cookie; what reads one costs more than the rest of the session.
        if app.secret_key and "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        # Nor does their session hold anything: then there is no cookie to be made or deleted.
        if session or session.accessed or session.modified:
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure
