"""What every answer says to browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
# A year without a plain request to this name (RFC 6797).
HSTS_SECONDS = 31_536_000

_KEPT_NOWHERE = ("Cache-Control", "no-store")
_HSTS = ("Strict-Transport-Security", f"max-age={HSTS_SECONDS}")
_ADDED = tuple((name.lower(), (name, value)) for name, value in SECURITY_HEADERS)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]


class SecureHeaders:
    """WSGI middleware. Here the headers are a list: Flask's own would cost more to look through."""

    def __init__(self, application: WSGI) -> None:
        self._application = application

    def __call__(
        self, request: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        def start(status: str, headers: Headers, *error: Any) -> Any:
            # Only now: a proxy's word about the scheme was believed in between.
            is_secure = request["wsgi.url_scheme"] == "https"
            return start_response(status, _secured(headers, is_secure), *error)

        return self._application(request, start)


def _secured(headers: Headers, is_secure: bool) -> Headers:
    there = {name.lower(): value for name, value in headers}
    # A mail in its frame has a policy of its own.
    added = [header for name, header in _ADDED if name not in there]
    if is_secure and "strict-transport-security" not in there:
        added.append(_HSTS)  # our own TLS, or the proxy's word; over plain HTTP it means nothing
    if "cache-control" not in there:
        added.append(_KEPT_NOWHERE)
    elif not _may_be_kept(there["cache-control"]):
        headers = [one for one in headers if one[0].lower() != "cache-control"]
        added.append(_KEPT_NOWHERE)
    return headers + added


def _may_be_kept(cache_control: str) -> bool:
    """Static files may, and are asked about."""
    words = (word.partition("=")[0].strip().lower() for word in cache_control.split(","))
    return "no-cache" in words
