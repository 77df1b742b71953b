"""The session's cookie goes over TLS alone where we are reached over TLS."""

from __future__ import annotations

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface


class Cookies(SecureCookieSessionInterface):
    """A setting could be forgotten; the request itself says how it came."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure
