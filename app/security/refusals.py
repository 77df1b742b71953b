"""What a caller is refused. Each face turns these into its own answers: JSON, or a page."""

from __future__ import annotations

import math


class ApiRefused(Exception):
    """The API refuses a caller: HTTP's `code`, a message for people, and headers."""

    def __init__(self, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class KeyNeeded(ApiRefused):
    """401 (RFC 6750, section 3). `given`: there was a key, but it is not, or no longer, good."""

    def __init__(self, *, given: bool = False) -> None:
        challenge = 'Bearer realm="mailroom"'
        if given:
            super().__init__(
                401,
                "The API key is unknown or revoked",
                WWW_Authenticate=f'{challenge}, error="invalid_token"',
            )
        else:
            super().__init__(
                401,
                "An API key is needed: Authorization: Bearer mr_…  (flask keys create makes one)",
                WWW_Authenticate=challenge,
            )


class ScopeNeeded(ApiRefused):
    """403: the key is good, but not for this."""

    def __init__(self, scope: str) -> None:
        error = f'error="insufficient_scope", scope="{scope}"'
        super().__init__(
            403,
            f"The API key lacks the scope {scope}",
            WWW_Authenticate=f'Bearer realm="mailroom", {error}',
        )


class TooMany(ApiRefused):
    """429, with the seconds until it is worth trying again."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        seconds = max(1, math.ceil(retry_after_seconds))
        super().__init__(429, message, Retry_After=str(seconds))


class LoginNeeded(Exception):
    """Nobody is logged in, or no longer."""


class NotAllowed(Exception):
    """Who is logged in may look, but not act."""


class NotServed(Exception):
    """There is no password, and the request comes from another machine, or may."""
