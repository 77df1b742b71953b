"""JSON Schemas of the answers. Tests hold the real answers against them."""

from __future__ import annotations

from typing import Any

from app.queue.job import Priority, Status

Schema = dict[str, Any]


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _object(properties: Schema, *, optional: tuple[str, ...] = (), closed: bool = True) -> Schema:
    """An object whose properties are all required but the `optional` ones."""
    schema: Schema = {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }
    return schema | {"additionalProperties": False} if closed else schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _data_or_null(name: str) -> Schema:
    return {"anyOf": [_ref(name), {"type": "null"}]}


def _answer(data: Schema, query_id: Schema) -> Schema:
    return _object({"message": {"type": "string"}, "query_id": query_id, "data": data})


_COUNT: Schema = {"type": "integer", "minimum": 0}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_NULL: Schema = {"type": "null"}
_ID: Schema = {"type": "integer", "minimum": 1}
_TEXT: Schema = {"type": "string"}
_FIELD_ERRORS: Schema = {
    "type": "object",
    "description": "By field: texts, or for a field with fields of its own the same again.",
    "additionalProperties": {"type": ["array", "object"]},
}

ANSWERS: dict[str, Schema] = {
    "Job": _object(
        {
            "id": _ID,
            "job_type": _TEXT,
            "payload": {**_TEXT, "description": "The job's data as JSON, as submitted."},
            "priority": {"enum": [p.value for p in Priority]},
            "created_at": {"type": "number"},
            "picked_at": _or_null("number"),
            "completed_at": _or_null("number"),
            "status": {"enum": [s.value for s in Status]},
            "retry_count": {**_COUNT, "description": "Failed attempts so far."},
            "last_error": _or_null("string"),
            "run_at": _or_null("number"),
            "max_retries": _COUNT,
            "tags": _list(_TEXT),
            "worker": _or_null("string"),
            "result": {"description": "What the job's code returned."},
            "attempts": _COUNT,
            "deaths": {**_COUNT, "description": "Attempts whose worker died."},
            "cancel_requested": {"type": "boolean"},
            "sending": {
                "type": "boolean",
                "description": "The attempt passed its point of no return.",
            },
            "unconfirmed": {
                "type": "boolean",
                "description": "An earlier attempt passed its point of no return and died.",
            },
            "request_id": {
                **_or_null("string"),
                "description": "X-Request-ID of the request that submitted it, for the logs.",
            },
        }
    ),
    "Attempt": _object(
        {
            "number": {"type": "integer"},
            "started_at": _or_null("number"),
            "ended_at": {"type": "number"},
            "worker": _or_null("string"),
            "outcome": _TEXT,
            "error": _or_null("string"),
            "smtp_code": _or_null("integer"),
        }
    ),
    "Worker": _object(
        {
            "name": _TEXT,
            "last_seen_at": {"type": "number"},
            "alive": {
                "type": "boolean",
                "description": "It spoke in the last 30 s, or missed no two of its heartbeats. "
                "What a dead one says of itself (busy, jobs) is what it said last.",
            },
        },
        closed=False,
    ),
    "Breaker": _object(
        {
            "worker": _TEXT,
            "reason": {**_TEXT, "description": "Why this worker sends no mail now."},
            "since": {"type": "number"},
            "next_probe_at": {"type": "number"},
        }
    ),
    "Stats": _object(
        {
            "counts": _object({s.value: _COUNT for s in Status}),
            "total": _COUNT,
            "paused": {"type": "boolean"},
            "totals": _COUNTS,
            "by_type": {"type": "object", "additionalProperties": _COUNTS},
            "last_minute": _COUNTS,
            "oldest_pending_seconds": _or_null("number"),
            "workers_alive": _COUNT,
            "slots": {**_COUNT, "description": "Jobs that all workers can run at once."},
            "slots_busy": _COUNT,
            "breakers": _list(_ref("Breaker")),
            "revision": _COUNT,
        }
    ),
    "Refusal": _object(
        {"message": _TEXT, "query_id": _NULL, "data": _NULL, "errors": _FIELD_ERRORS}
    ),
    "JobAnswer": _answer(_data_or_null("Job"), _ID),
    "AttemptsAnswer": _answer(_list(_ref("Attempt")), _ID),
    "StatsAnswer": _answer(_ref("Stats"), _NULL),
    "WorkersAnswer": _answer(_list(_ref("Worker")), _NULL),
    "PausedAnswer": _answer(_object({"paused": {"type": "boolean"}}), _NULL),
    "TasksAnswer": _object(
        {
            "status": {"const": "success"},
            "total_tasks": _COUNT,
            "page": _ID,
            "limit": _ID,
            "tasks_returned": _COUNT,
            "tasks": _list(_ref("Job")),
            "complete": {
                "const": False,
                "description": "There were too many candidates; only some were looked at.",
            },
            "looked_at": _or_null("integer"),
            "candidates": _or_null("integer"),
        },
        optional=("complete", "looked_at", "candidates"),
    ),
    "BatchAnswer": _object(
        {
            "message": _TEXT,
            "accepted": _COUNT,
            "rejected": _COUNT,
            "results": _list(
                _object(
                    {"query_id": _or_null("integer"), "errors": _FIELD_ERRORS},
                    optional=("errors",),
                )
            ),
        }
    ),
    "HealthAnswer": _object(
        {
            "status": {"enum": ["ok", "unavailable"]},
            "reasons": _list(_TEXT),
            "warnings": {**_list(_TEXT), "description": "What is amiss but stops no jobs."},
            "oldest_pending_seconds": {
                **_or_null("number"),
                "description": "How long the oldest waiting job has been ready; null: none waits.",
            },
            "last_success_seconds": {
                **_or_null("number"),
                "description": "How long ago a job succeeded; null: none that is remembered.",
            },
        },
        optional=("reasons", "warnings", "oldest_pending_seconds", "last_success_seconds"),
    ),
}
