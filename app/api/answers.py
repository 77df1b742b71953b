"""The shapes of the API's answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from flask import Response

from app.jobs import max_retries_of
from app.queue.job import Attempt, Job
from app.queue.worker_info import WorkerInfo

PROCESSED = "Query processed successfully"
RETRIEVED = "Job logs retrieved successfully"
JOB_NOT_FOUND = "Job not found or has no logs"


def answer(
    message: str,
    *,
    query_id: int | None = None,
    data: Any = None,
    code: int = 200,
    errors: dict[str, Any] | None = None,
) -> Response:
    """The shape of every answer; `errors`, by field, only when something was refused."""
    body = {"message": message, "query_id": query_id, "data": data}
    if errors is not None:
        body["errors"] = errors
    return json_response(body, code)


def json_response(body: dict[str, Any], code: int = 200) -> Response:
    # ASCII: a result or an SMTP reply may hold what UTF-8 can't.
    return _Json(json.dumps(body) + "\n", code, content_type="application/json")


class _Json(Response):
    """One text that is there already: no relative location, nothing to stream or to close, which
    Werkzeug would look for."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return cast(list[bytes], self.response)


def job_data(job: Job, configured_max_retries: int | None) -> dict[str, Any]:
    """One job: the ten attributes everyone may rely on, in their order, then the others."""
    return {
        "id": job.id,
        "job_type": job.job_type,
        "payload": job.payload,
        "priority": job.priority,
        "created_at": job.created_at,
        "picked_at": job.picked_at,
        "completed_at": job.completed_at,
        "status": job.status,
        "retry_count": job.retry_count,
        "last_error": job.last_error,
        "run_at": job.run_at,
        "max_retries": max_retries_of(job.job_type, job.max_retries, configured_max_retries),
        "tags": job.tags,
        "worker": job.worker,
        "result": job.result,
        "attempts": job.attempts,
        "deaths": job.deaths,
        "cancel_requested": job.cancel_requested,
        "sending": job.sending,
        "unconfirmed": job.unconfirmed,
        "request_id": job.request_id,
    }


def attempt_data(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "worker": attempt.worker,
        "outcome": attempt.outcome,
        "error": attempt.error,
        "smtp_code": attempt.smtp_code,
    }


def worker_data(worker: WorkerInfo, now: float) -> dict[str, Any]:
    """What the worker said of itself, and whether it still speaks at `now`."""
    known = {
        "name": worker.name,
        "last_seen_at": worker.last_seen_at,
        "alive": worker.is_alive(now),
    }
    return {**worker.details, **known}
