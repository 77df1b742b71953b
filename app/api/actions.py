"""The endpoints that act on all jobs that match a filter, and the audit log of all that acts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, current_app, request
from marshmallow import ValidationError

from app.api.action_schemas import JobsAction
from app.api.answers import answer
from app.api.errors import ApiError, InvalidFields, by_field
from app.api.submission import read_body
from app.api.views import ID_MAX, bp
from app.queue.errors import OperationNotFound
from app.queue.inspector import JobQuery
from app.queue.job import Priority, Status
from app.queue.operations import Operation, Operations
from app.security.acting import audit, who

_JOBS_ACTION = JobsAction()
OPERATION_NOT_FOUND = "Operation not found"
# By view: what it does, and to what. Submissions are not acts of a person; their jobs tell.
_AUDITED = {
    "retry": "job {job_id}",
    "cancel": "job {job_id}",
    "delete": "job {job_id}",
    "pause": "the queue",
    "resume": "the queue",
    "stop_operation": "operation {operation_id}",
}


@bp.post("/jobs/actions")
def act_on_jobs() -> Response:
    fields = _read(read_body(request))
    query = _query(fields["filter"])
    if fields["dry_run"]:
        found = _operations().preview(fields["action"], query)
        data = {"action": fields["action"], "filter": fields["filter"], **asdict(found)}
        return answer("Nothing was done: this is a dry run", data=data)
    operation_id = _operations().start(fields["action"], query, who())
    audit(fields["action"], f"{query.in_words}, operation {operation_id}")
    return answer("Operation started", data=_data(_operations().get(operation_id)))


@bp.get("/operations/<operation_id>")
def operation(operation_id: str) -> Response:
    return answer("Operation retrieved successfully", data=_data(_find(operation_id)))


@bp.post("/operations/<operation_id>/stop")
def stop_operation(operation_id: str) -> Response:
    found = _find(operation_id)
    if found.status != "running":
        return answer(f"Operation is {found.status} already", data=_data(found))
    _operations().stop(found.id)
    return answer("Operation stopped; what was done stands", data=_data(_find(operation_id)))


@bp.after_request
def write_audit(response: Response) -> Response:
    view = (request.endpoint or "").rpartition(".")[2]
    if view in _AUDITED and response.status_code == 200:
        audit(view.partition("_")[0], _AUDITED[view].format(**request.view_args or {}))
    return response


def _read(body: dict[str, Any]) -> dict[str, Any]:
    """Raises InvalidFields."""
    try:
        fields: dict[str, Any] = _JOBS_ACTION.load(body)
    except ValidationError as error:
        raise InvalidFields(by_field(error.messages)) from None
    return fields


def _query(filters: dict[str, Any]) -> JobQuery:
    status, priority = filters.get("status"), filters.get("priority")
    return JobQuery(
        status=Status(status) if status else None,
        job_type=filters.get("job_type"),
        priority=Priority(priority) if priority else None,
        tag=filters.get("tag"),
        q=filters.get("q"),
        limit=1,
    )


def _find(operation_id: str) -> Operation:
    """Raises ApiError 404."""
    digits = operation_id.isascii() and operation_id.isdigit() and len(operation_id) <= 16
    if not digits or not 1 <= int(operation_id) <= ID_MAX:
        raise ApiError(404, OPERATION_NOT_FOUND)
    try:
        return _operations().get(int(operation_id))
    except OperationNotFound:
        raise ApiError(404, OPERATION_NOT_FOUND) from None


def _data(found: Operation) -> dict[str, Any]:
    return {
        "id": found.id,
        "action": found.action,
        "filter": found.query.filters,
        "by": found.by,
        "status": found.status,
        "total": found.total,
        "done": found.done,
        "skipped": found.skipped,
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }


def _operations() -> Operations:
    found: Operations = current_app.extensions["operations"]
    return found
