"""The answers of the OpenAPI description that say no: each once, with a real example."""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]

REQUEST_ID = "RequestId"
_REQUEST_ID_HEADER: Schema = {"$ref": f"#/components/headers/{REQUEST_ID}"}


class Refusal(NamedTuple):
    name: str
    description: str
    message: str
    errors: dict[str, list[str]] = {}
    # A header of this answer alone: its name, JSON Schema and meaning.
    header: tuple[str, Schema, str] | None = None


_RETRY_AFTER = (
    "Retry-After",
    {"type": "integer", "minimum": 1},
    "Wait as many seconds, then send the same request again, with the same Idempotency-Key.",
)
REFUSALS = {
    400: Refusal(
        "NotJson",
        "The body is not strict JSON.",
        "The body is not JSON: Expecting value (line 1, column 1).",
    ),
    401: Refusal(
        "KeyNeeded",
        "There is no API key, or one that is unknown or revoked.",
        "The API key is unknown or revoked",
        header=("WWW-Authenticate", {"type": "string"}, "RFC 6750: Bearer, and what is wrong."),
    ),
    403: Refusal(
        "Forbidden",
        "The API key lacks the scope, or a browser sent it for a page of another site.",
        "The API key lacks the scope admin",
    ),
    404: Refusal("NotFound", "There is no such thing (any more).", "Job not found or has no logs"),
    409: Refusal(
        "Conflict",
        "The job's status forbids it; or the Idempotency-Key was used with other content.",
        "Cannot cancel job 7: it was cancelled.",
    ),
    413: Refusal(
        "TooLarge",
        "The body has more than 16 MiB, or a payload without attachments more than 1 MiB.",
        "The request is larger than allowed. At most 16777216 bytes (16 MiB) are allowed.",
        {"body": ["At most 16777216 bytes (16 MiB) are allowed."]},
    ),
    415: Refusal(
        "NotJsonType",
        "The Content-Type is not application/json.",
        "The Content-Type must be application/json",
    ),
    422: Refusal(
        "Invalid",
        "A field is invalid; `errors` names each, and says what is allowed.",
        "Invalid: priority.",
        {"priority": ["Must be one of: high, low."]},
    ),
    429: Refusal(
        "TooMany",
        "Too many requests of this key, or its jobs of the day (UTC) are used up.",
        "The API key may make 6000 requests in 60 s (API_RATE_LIMIT)",
        header=_RETRY_AFTER,
    ),
    503: Refusal(
        "Away",
        "Redis is away or has no room. Nothing was lost that was answered with 200.",
        "The queue is not available. Try again.",
        header=_RETRY_AFTER,
    ),
}


def references(*codes: int) -> Schema:
    """The answers of an operation that have these codes."""
    return {
        str(code): {"$ref": f"#/components/responses/{REFUSALS[code].name}"}
        for code in sorted(set(codes))
    }


def components() -> dict[str, Schema]:
    """What `references` refers to, by name."""
    return {refusal.name: _response(refusal) for refusal in REFUSALS.values()}


def with_request_id(response: Schema) -> Schema:
    return response | {
        "headers": {"X-Request-ID": _REQUEST_ID_HEADER, **response.get("headers", {})}
    }


def _response(refusal: Refusal) -> Schema:
    body = {
        "message": refusal.message,
        "query_id": None,
        "data": None,
        "errors": refusal.errors,
    }
    content = {"schema": {"$ref": "#/components/schemas/Refusal"}, "example": body}
    response: Schema = {
        "description": refusal.description,
        "content": {"application/json": content},
    }
    if refusal.header:
        name, schema, description = refusal.header
        response["headers"] = {name: {"schema": schema, "description": description}}
    return with_request_id(response)
