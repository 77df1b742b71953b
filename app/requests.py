"""Every request has an id, answers it, and leaves a line in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from app.logs import concerning

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
# What a caller or a proxy may choose: it is logged, kept with each job, and answered in a header.
_ALLOWED = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LoggedRequests:
    """WSGI middleware. Takes `X-Request-ID` where it is usable, else makes an id of 16 digits.

    What changes something is logged at INFO, what only reads (polls, mostly) at DEBUG: method,
    path, status and milliseconds; never a query string or a body, which may name people.
    """

    def __init__(
        self, application: WSGI, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._application = application
        self._clock = clock

    def __call__(
        self, request: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        given = request.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _ALLOWED.fullmatch(given) else secrets.token_hex(8)
        status = ""

        def start(found: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status
            status = found[:3]
            return start_response(found, [*headers, (HEADER, request_id)], *error)

        began = self._clock()
        with concerning(request_id=request_id):
            answer = self._application(request, start)
            method = request["REQUEST_METHOD"]
            level = logging.DEBUG if method in _SAFE_METHODS else logging.INFO
            if log.isEnabledFor(level):
                took_ms = (self._clock() - began) * 1000
                log.log(level, "%s %s %s %.1f ms", method, request["PATH_INFO"], status, took_ms)
        return answer
