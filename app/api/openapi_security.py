"""What the OpenAPI description says of API keys."""

from __future__ import annotations

from typing import Any

from app.api.openapi_refusals import references
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


def secured(path: str, operations: Schema) -> Schema:
    """The same operations of a path, with the scope that each needs and what is refused."""
    if path in _OPEN:
        # []: no key, whatever holds elsewhere.
        return {method: operation | {"security": []} for method, operation in operations.items()}
    return {
        method: _secured(operation, need_of(_ENDPOINTS.get(path, "api"), method.upper()))
        for method, operation in operations.items()
    }


def _secured(operation: Schema, scope: str) -> Schema:
    responses = operation["responses"] | references(401, 403, 429)
    needs = f"Needs a key with the scope `{scope}`" + ("" if scope == "admin" else " or `admin`")
    return operation | {
        "description": f"{operation['description']}\n\n{needs}.",
        # {}: without any key made, none is needed.
        "security": [{SCHEME: [scope]}, {}],
        "responses": dict(sorted(responses.items())),
    }
