"""The one place that turns what is raised, by the queue or by Flask, into answers of the API."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.api.answers import JOB_NOT_FOUND, answer
from app.queue.errors import (
    IdempotencyConflict,
    InvalidJob,
    JobNotFound,
    NotReplicated,
    QueueError,
    QueueFull,
    QueueUnavailable,
    ServerUnsuitable,
    WrongStatus,
)
from app.security.refusals import ApiRefused

log = logging.getLogger(__name__)

# Of these, and of what is derived from them. Full memory is freed by workers, not by waiting a
# moment.
RETRY_AFTER_SECONDS: dict[type[QueueError], int] = {
    QueueFull: 30,
    QueueUnavailable: 2,
    NotReplicated: 2,
    ServerUnsuitable: 30,
}
_JSON_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")

ErrorPage = Callable[[HTTPException], HTTPException | Response]


class ApiError(Exception):
    """A refusal: `code` is HTTP's, `errors` says what is wrong, by field."""

    def __init__(self, code: int, message: str, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors or {}


class InvalidFields(ApiError):
    """422, naming the fields."""

    def __init__(self, errors: dict[str, Any]) -> None:
        super().__init__(422, f"Invalid: {', '.join(errors)}.", errors)


def register(app: Flask, error_page: ErrorPage) -> None:
    """`error_page` answers Flask's own errors where people look, outside of the API."""

    def http_error(error: HTTPException) -> HTTPException | Response:
        return _http_error(error) if request.path.startswith(_JSON_PATHS) else error_page(error)

    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(ApiRefused, _caller_refused)
    app.register_error_handler(QueueError, _queue_error)
    app.register_error_handler(HTTPException, http_error)


def by_field(errors: Any, within: str = "") -> dict[str, list[str]]:
    """marshmallow's errors as the API shows them: flat, a tag of a list as `tags.0`."""
    flat: dict[str, list[str]] = {}
    for name, found in errors.items():
        if isinstance(found, dict):
            flat |= by_field(found, f"{within}{name}.")
        else:
            flat[f"{within}{name}"] = found
    return flat


def queue_errors_by_field(error: QueueError) -> dict[str, list[str]]:
    """What the queue refused, under the name of the field it comes from."""
    if isinstance(error, InvalidJob):
        return {error.field: [error.rule]}
    if isinstance(error, IdempotencyConflict):
        return {"Idempotency-Key": [str(error)]}
    return {}


def _refused(error: ApiError) -> Response:
    return _error(error.code, error.message, error.errors)


def _caller_refused(error: ApiRefused) -> Response:
    response = _error(error.code, error.message)
    response.headers.update(error.headers)
    return response


def _queue_error(error: QueueError) -> Response:
    errors = queue_errors_by_field(error)
    match error:
        case JobNotFound():
            return _error(404, JOB_NOT_FOUND)
        case WrongStatus() | IdempotencyConflict():
            return _error(409, str(error), errors)
        case InvalidJob():
            return _error(422, f"Invalid: {error.field}.", errors)
        case QueueUnavailable() | ServerUnsuitable():
            # The reason names hosts and settings; that is for the log.
            log.warning("Answered 503: %s", error)
            kinds = type(error).__mro__
            why = next((_WHY_503[kind] for kind in kinds if kind in _WHY_503), _AWAY)
            seconds = next(RETRY_AFTER_SECONDS[k] for k in kinds if k in RETRY_AFTER_SECONDS)
            response = _error(503, why)
            response.headers["Retry-After"] = str(seconds)
            return response
    log.error("Unexpected error of the queue", exc_info=error)
    return _error(500, "Internal error")


def _http_error(error: HTTPException) -> Response:
    """Flask's own errors. An unexpected exception comes here as a 500, already logged."""
    code = error.code or 500
    message = _MESSAGES.get(code, error.name)
    if code == 413:
        message = f"The request is larger than allowed: {request.max_content_length} bytes"
    response = _error(code, message)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _error(code: int, message: str, errors: dict[str, Any] | None = None) -> Response:
    return answer(message, code=code, errors=errors or {})


_AWAY = "The queue is not available. Try again."
_WHY_503: dict[type[QueueError], str] = {
    QueueFull: "The queue has no room.",
    NotReplicated: (
        "Perhaps accepted, but no second server has confirmed it. Try again with the same "
        "Idempotency-Key; without one, that may make another job."
    ),
}
_MESSAGES = {
    404: "No such endpoint",
    405: "Method not allowed",
    500: "Internal error",
}
