"""The OpenAPI 3.1 document, made with apispec from the schemas that validate requests."""

from __future__ import annotations

import json
from copy import deepcopy
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
from app.api.openapi_operations import (
    REQUEST_ID_ANSWER,
    REQUEST_ID_PARAMETER,
    described,
    give_examples,
    operation,
    response,
)
from app.api.openapi_refusals import REQUEST_ID, components, with_request_id
from app.api.openapi_words import TAGS
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
        info={"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
        servers=[{"url": "/", "description": "Where this description came from"}],
        tags=[{"name": name, "description": said} for name, said in TAGS.items()],
        plugins=[plugin],
    )
    _describe_fields(plugin)
    for name, scheme in openapi_security.SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    spec.components.header(REQUEST_ID, REQUEST_ID_ANSWER)
    spec.components.parameter(REQUEST_ID, "header", REQUEST_ID_PARAMETER)
    for name, refusal in components().items():
        spec.components.response(name, refusal)
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
    more_paths = openapi_actions.paths(operation) | openapi_suppressions.paths(operation)
    for path, operations in (_paths() | more_paths).items():
        in_words = {method: described(method, path, one) for method, one in operations.items()}
        spec.path(path, operations=openapi_security.secured(path, in_words))
    made = deepcopy(spec.to_dict())  # operations share their parameters
    for path, operations in made["paths"].items():
        for method, found in operations.items():
            give_examples(method, path, found)
    return json.dumps(made).encode()


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
            "post": operation("Submit one job", "JobAnswer", 409, body=submission)
        },
        "/api/jobs/batch": {
            "post": operation("Submit up to 1,000 jobs", "BatchAnswer", body=batch)
        },
        "/api/job/status/{id}": {"get": operation("One job", "JobAnswer", 404, parameters=job_id)},
        "/api/tasks": {"get": operation("A page of jobs", "TasksAnswer", 422, parameters=query)},
        "/api/job/{id}/attempts": {
            "get": operation("A job's attempts", "AttemptsAnswer", 404, parameters=job_id)
        },
        "/api/job/{id}/retry": {
            "post": operation("Try a job again now", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/job/{id}/cancel": {
            "post": operation("Cancel a job", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/job/{id}": {
            "delete": operation("Forget a job", "JobAnswer", 403, 404, 409, parameters=job_id)
        },
        "/api/stats": {"get": operation("Counts and rates", "StatsAnswer")},
        "/api/workers": {"get": operation("Live workers", "WorkersAnswer")},
        "/api/queue/pause": {
            "post": operation("Stop handing out jobs", "PausedAnswer", 403),
        },
        "/api/queue/resume": {
            "post": operation("Hand out jobs again", "PausedAnswer", 403),
        },
        "/healthz": {
            "get": {
                "summary": "Is the process alive",
                "responses": {"200": response("Yes", "HealthAnswer")},
            }
        },
        "/metrics": {"get": deepcopy(_METRICS)},
        "/readyz": {"get": _readiness()},
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

_UNREADY = {"status": "unavailable", "reasons": ["No main worker is alive."], "warnings": []}


def _readiness() -> dict[str, Any]:
    unready = response("No, for these reasons", "HealthAnswer")
    unready["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    unready["content"]["application/json"]["example"] = _UNREADY
    responses = {"200": response("Yes", "HealthAnswer"), "503": with_request_id(unready)}
    return {"summary": "Are jobs being done", "responses": responses}
