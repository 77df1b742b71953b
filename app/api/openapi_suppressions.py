"""The OpenAPI description of the suppression list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.api.suppression_schemas import SuppressionsQuery

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_SUPPRESSION: Schema = {"$ref": "#/components/schemas/Suppression"}
_ADDRESS: Schema = {
    "in": "path",
    "name": "address",
    "required": True,
    "description": "A mail address; upper and lower case are one.",
    "schema": {"type": "string", "minLength": 1},
}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _answer(data: Schema) -> Schema:
    return _object({"message": {"type": "string"}, "query_id": _NULL, "data": data})


ANSWERS: dict[str, Schema] = {
    "Suppression": _object(
        {
            "address": {"type": "string"},
            "reason": {"type": "string"},
            "at": {"type": "number", "description": "Since when, seconds since the epoch."},
            "by": {"type": "string"},
            "code": {**_NUMBER_OR_NULL, "description": "The mail server's reply code."},
            "job_id": {**_NUMBER_OR_NULL, "description": "The job whose mail bounced."},
        }
    ),
    "SuppressionAnswer": _answer(_SUPPRESSION),
    "SuppressionRemovedAnswer": _answer(_NULL),
    "SuppressionsAnswer": _answer(
        _object(
            {
                "total": _COUNT,
                "page": {"type": "integer", "minimum": 1},
                "limit": {"type": "integer", "minimum": 1},
                "suppressions": {"type": "array", "items": _SUPPRESSION},
            }
        )
    ),
}


def paths(operation: Callable[..., Schema]) -> dict[str, Schema]:
    """The endpoints; `operation` describes one, as for the others."""
    new = {"$ref": "#/components/schemas/NewSuppression"}
    reason = {"$ref": "#/components/schemas/SuppressionReason"}
    add = operation("Put an address on the suppression list", "SuppressionAnswer", body=new)
    del add["parameters"]  # no Idempotency-Key: done twice, it is done
    # 404: a line break in the path, which no address holds.
    summary = "Put an address on the list, named in the path"
    put = operation(summary, "SuppressionAnswer", 404, body=reason)
    put["parameters"] = [_ADDRESS]
    put["requestBody"]["required"] = False
    return {
        "/api/suppressions": {
            "get": operation(
                "A page of the suppression list",
                "SuppressionsAnswer",
                422,
                parameters=[{"in": "query", "schema": SuppressionsQuery}],
            ),
            "post": add,
        },
        "/api/suppressions/{address}": {
            "get": operation(
                "One address of the suppression list",
                "SuppressionAnswer",
                *(404, 422),
                parameters=[_ADDRESS],
            ),
            "put": put,
            "delete": operation(
                "Take an address off the suppression list",
                "SuppressionRemovedAnswer",
                *(403, 404, 422),
                parameters=[_ADDRESS],
            ),
        },
    }
