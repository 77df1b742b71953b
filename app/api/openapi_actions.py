"""The OpenAPI description of actions on all jobs that match a filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

_FILTER = {"$ref": "#/components/schemas/JobFilter"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_ID: Schema = {"type": "integer", "minimum": 1}
_OPERATION_ID: Schema = {"in": "path", "name": "id", "required": True, "schema": _ID}


def _object(properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _answer(data: Schema) -> Schema:
    null = {"type": "null"}
    return _object({"message": {"type": "string"}, "query_id": null, "data": data})


# Beside what the marshmallow schemas say: they can't tell how their fields depend on each other.
JOBS_ACTION_RULES: Schema = {
    "oneOf": [
        {
            "required": ["filter"],
            "properties": {"filter": {"minProperties": 1}, "all": {"const": False}},
        },
        {
            "required": ["all"],
            "properties": {"filter": {"maxProperties": 0}, "all": {"const": True}},
        },
    ]
}

ANSWERS: dict[str, Schema] = {
    "Operation": _object(
        {
            "id": _ID,
            "action": {"enum": ["retry", "cancel", "delete"]},
            "filter": {**_FILTER, "description": "Which jobs; empty: all."},
            "by": {"type": "string"},
            "status": {"enum": ["running", "stopped", "done"]},
            "total": {**_COUNT, "description": "How many matched when it started."},
            "done": _COUNT,
            "skipped": {**_COUNT, "description": "Their status forbade it, or they were gone."},
            "created_at": {"type": "number"},
            "finished_at": _NUMBER_OR_NULL,
        }
    ),
    "DryRun": _object(
        {
            "action": {"enum": ["retry", "cancel", "delete"]},
            "filter": _FILTER,
            "total": {**_COUNT, "description": "How many match now."},
            "able": {**_COUNT, "description": "How many of them would be acted on."},
            "complete": {"type": "boolean", "description": "False: more may match."},
        }
    ),
    "OperationAnswer": _answer({"$ref": "#/components/schemas/Operation"}),
    "JobsActionAnswer": _answer(
        {
            "anyOf": [
                {"$ref": "#/components/schemas/Operation"},
                {"$ref": "#/components/schemas/DryRun"},
            ]
        }
    ),
}


def paths(operation: Callable[..., Schema]) -> dict[str, Schema]:
    """The endpoints; `operation` describes one, as for the others."""
    body = {"$ref": "#/components/schemas/JobsAction"}
    start = operation("Act on all jobs that match a filter", "JobsActionAnswer", body=body)
    del start["parameters"]  # no Idempotency-Key: done twice, the second finds nothing to do
    return {
        "/api/jobs/actions": {"post": start},
        "/api/operations/{id}": {
            "get": operation("A bulk operation", "OperationAnswer", 404, parameters=[_OPERATION_ID])
        },
        "/api/operations/{id}/stop": {
            "post": operation(
                "Stop a bulk operation", "OperationAnswer", 403, 404, parameters=[_OPERATION_ID]
            )
        },
    }
