"""What the OpenAPI description says of API keys."""

from __future__ import annotations

from typing import Any

from app.security.access import need_of

Schema = dict[str, Any]

SCHEME = "apiKey"
SCHEMES: dict[str, Schema] = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "mr_<id>_<secret>",
        "description": "`flask keys create` makes a key. Its scopes are `submit`, `read` and "
        "`admin`, which includes both. As long as no key was made, a program on the same machine "
        "needs none.",
    }
}
# Paths whose scope does not follow from the method, by the endpoint that serves them.
_ENDPOINTS = {"/api/process_query": "api.process_query", "/api/jobs/batch": "api.batch"}
_OPEN = ("/healthz", "/readyz")
_REFUSALS = {
    "401": ("No API key, or one that is unknown or revoked", "WWW-Authenticate", "string"),
    "403": ("The API key lacks the scope, or sent for a page of another site", None, None),
    "429": ("Too many requests, or the key's daily quota is used up", "Retry-After", "integer"),
}


def secured(path: str, operations: Schema) -> Schema:
    """The same operations of a path, with the scope that each needs and what is refused."""
    if path in _OPEN:
        return operations
    return {
        method: _secured(operation, need_of(_ENDPOINTS.get(path, "api"), method.upper()))
        for method, operation in operations.items()
    }


def _secured(operation: Schema, scope: str) -> Schema:
    responses = operation["responses"] | {code: _refusal(code) for code in _REFUSALS}
    return operation | {
        # {}: without any key made, none is needed.
        "security": [{SCHEME: [scope]}, {}],
        "responses": dict(sorted(responses.items())),
    }


def _refusal(code: str) -> Schema:
    description, header, kind = _REFUSALS[code]
    reference = {"$ref": "#/components/schemas/Refusal"}
    answer: Schema = {
        "description": description,
        "content": {"application/json": {"schema": reference}},
    }
    if header:
        answer["headers"] = {header: {"schema": {"type": kind}}}
    return answer
