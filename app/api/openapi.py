"""The OpenAPI 3.1 document, made with apispec from the schemas that validate requests."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from app.api import (
    action_schemas,
    openapi_actions,
    openapi_security,
    openapi_suppressions,
    schemas,
    suppression_schemas,
)
from app.api.openapi_answers import ANSWERS
from app.api.submission import IDEMPOTENCY_HEADER
from app.jobs import known
from app.queue.submission import TAG

API_VERSION = "1"

_DESCRIPTION = """\
Submit a job, get its id at once, ask for it later.

A job goes `scheduled` → `pending` → `processing` → `success`, or `failed` (waiting for its next
attempt) → `pending` …, or `permanently_failed`, or `cancelled`. Times are seconds since the epoch.

Bodies are strict JSON (RFC 8259): UTF-8, no NaN, no name twice in one object, at most 20 levels. A
body has at most 16 MiB; a payload without `attachments` at most 1 MiB (413). Requests that a
browser sends for a page of another site are refused (403).

With an API key: `Authorization: Bearer mr_…`. A key may make as many requests as `API_RATE_LIMIT`
says, and submit as many jobs a day (UTC) as its quota says (429 with `Retry-After`)."""


def document() -> bytes:
    """The document, as JSON."""
    return _document(tuple(sorted(known())))


@cache
def _document(job_types: tuple[str, ...]) -> bytes:
    plugin = MarshmallowPlugin()
    spec = APISpec(
        title="Mailroom",
        version=API_VERSION,
        openapi_version="3.1.0",
        info={"description": _DESCRIPTION},
        plugins=[plugin],
    )
    _describe_fields(plugin)
    for name, scheme in openapi_security.SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    for name, schema in (ANSWERS | openapi_actions.ANSWERS | openapi_suppressions.ANSWERS).items():
        spec.components.schema(name, schema)
    spec.components.schema("Submission", schema=schemas.Submission)
    submission = spec.components.schemas["Submission"]
    submission["properties"]["job_type"] = {"type": "string", "enum": list(job_types)}
    submission["not"] = {"required": ["delay_seconds", "run_at"]}
    spec.components.schema("Batch", _BATCH)
    spec.components.schema("JobFilter", schema=action_schemas.JobFilter)
    spec.components.schema("JobsAction", schema=action_schemas.JobsAction)
    spec.components.schemas["JobsAction"] |= openapi_actions.JOBS_ACTION_RULES
    spec.components.schema("NewSuppression", schema=suppression_schemas.NewSuppression)
    spec.components.schema("SuppressionReason", schema=suppression_schemas.SuppressionReason)
    more_paths = openapi_actions.paths(_operation) | openapi_suppressions.paths(_operation)
    for path, operations in (_paths() | more_paths).items():
        spec.path(path, operations=openapi_security.secured(path, operations))
    return json.dumps(spec.to_dict()).encode()


def _describe_fields(plugin: MarshmallowPlugin) -> None:
    """How the fields that marshmallow doesn't know look in JSON Schema."""
    plugin.map_to_openapi_type(schemas.Number, "number", None)
    plugin.map_to_openapi_type(schemas.WholeNumber, "integer", None)
    plugin.map_to_openapi_type(schemas.QueryNumber, "integer", None)
    plugin.map_to_openapi_type(action_schemas.Flag, "boolean", None)
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(_own_field)


def _own_field(self: Any, field: Any, **kwargs: Any) -> dict[str, Any]:
    return dict(_OWN_FIELDS.get(type(field), {}))


_OWN_FIELDS: dict[type, dict[str, Any]] = {
    schemas.Tag: {"type": "string", "pattern": f"^{TAG.pattern}$"},
    schemas.Payload: {
        "description": "The job's data: an object, or a string that holds JSON. What is allowed "
        "in it depends on the job type.",
        "anyOf": [
            {"type": "object"},
            {"type": "string", "contentMediaType": "application/json"},
        ],
        "examples": ['{"to": "user@example.com", "subject": "Test", "message": "Hello"}'],
    },
    schemas.Instant: {
        "description": "When to run: seconds since the epoch, or ISO 8601 with an offset. Not "
        "together with delay_seconds.",
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": schemas.RUN_AT_MAX_SECONDS},
            {
                "type": "string",
                "format": "date-time",
                "pattern": r"^(19[7-9]\d|20\d\d)-",
            },
        ],
    },
}

_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["jobs"],
    "additionalProperties": False,
    "properties": {
        "jobs": {
            "type": "array",
            "minItems": 1,
            "maxItems": schemas.BATCH_MAX,
            "description": "Each is validated on its own, and answered in its place.",
            "items": {"$ref": "#/components/schemas/Submission"},
        }
    },
}


def _paths() -> dict[str, dict[str, Any]]:
    submission = {"$ref": "#/components/schemas/Submission"}
    batch = {"$ref": "#/components/schemas/Batch"}
    query = [{"in": "query", "schema": schemas.JobsQuery}]
    job_id = [_JOB_ID]
    return {
        "/api/process_query": {
            "post": _operation("Submit one job", "JobAnswer", 409, body=submission)
        },
        "/api/jobs/batch": {
            "post": _operation("Submit up to 1,000 jobs", "BatchAnswer", body=batch)
        },
        "/api/job/status/{id}": {"get": _operation("One job", "JobAnswer", 404, parameters=job_id)},
        "/api/tasks": {"get": _operation("A page of jobs", "TasksAnswer", 422, parameters=query)},
        "/api/job/{id}/attempts": {
            "get": _operation("A job's attempts", "AttemptsAnswer", 404, parameters=job_id)
        },
        "/api/job/{id}/retry": {
            "post": _operation("Try a job again now", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/job/{id}/cancel": {
            "post": _operation("Cancel a job", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/job/{id}": {
            "delete": _operation("Forget a job", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/stats": {"get": _operation("Counts and rates", "StatsAnswer")},
        "/api/workers": {"get": _operation("Live workers", "WorkersAnswer")},
        "/api/queue/pause": {
            "post": _operation("Stop handing out jobs", "PausedAnswer", 403),
        },
        "/api/queue/resume": {
            "post": _operation("Hand out jobs again", "PausedAnswer", 403),
        },
        "/healthz": {"get": _plain_operation("Is the process alive", "HealthAnswer")},
        "/metrics": {"get": _METRICS},
        "/readyz": {"get": _plain_operation("Are jobs being done", "HealthAnswer", 503)},
    }


_METRICS = {
    "summary": "The figures, for Prometheus",
    "responses": {
        "200": {
            "description": "Prometheus text format, or OpenMetrics where Accept asks for it",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        }
    },
}
_JOB_ID = {
    "in": "path",
    "name": "id",
    "required": True,
    # A greater number names no job: 404, not an invalid request.
    "schema": {"type": "integer", "minimum": 1},
}
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": IDEMPOTENCY_HEADER,
    "description": "The same key with the same content answers the same job for 24 hours. In a "
    "batch it holds for each job, with its index.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
_REFUSALS = {
    400: "The body is not JSON",
    403: "Sent for a page of another site",
    404: "No such job",
    409: "The job's status, or an idempotency key, forbids it",
    413: "Larger than allowed",
    415: "Not application/json",
    422: "A field is invalid",
    503: "Redis is away",
}


def _operation(
    summary: str,
    answer: str,
    *refusals: int,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    codes = {*refusals, 503, *((400, 403, 413, 415, 422) if body else ())}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": _response("Done", answer)}
        | {str(code): _response(_REFUSALS[code], "Refusal") for code in sorted(codes)},
    }
    operation["responses"]["503"]["headers"] = _RETRY_AFTER
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["parameters"] = [_IDEMPOTENCY_KEY]
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _plain_operation(summary: str, answer: str, *codes: int) -> dict[str, Any]:
    names = {200: "Yes", 503: "No, for these reasons"}
    return {
        "summary": summary,
        "responses": {str(code): _response(names[code], answer) for code in (200, *codes)},
    }


def _response(description: str, schema: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}
