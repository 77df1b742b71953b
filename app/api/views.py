"""The endpoints that submit, show and steer jobs. Each parses, calls and answers."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, current_app, request
from marshmallow import ValidationError

from app.api.answers import (
    JOB_NOT_FOUND,
    PROCESSED,
    RETRIEVED,
    answer,
    attempt_data,
    job_data,
    json_response,
    worker_data,
)
from app.api.by_key import charged, refuse_senders
from app.api.errors import ApiError, InvalidFields, by_field, queue_errors_by_field
from app.api.schemas import JobsQuery
from app.api.submission import read_batch, read_body, read_idempotency_key, read_job
from app.api.suppressed import refuse_suppressed
from app.logs import request_id
from app.queue.errors import IdempotencyConflict, JobNotFound, QueueUnavailable
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job, Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob, Submitted

bp = Blueprint("api", __name__, url_prefix="/api")

# 2^53 is the largest integer a JSON reader can be trusted with (RFC 8259, section 6).
ID_MAX = 2**53 - 1
_JOBS_QUERY = JobsQuery()


@bp.post("/process_query")
def process_query() -> Response:
    key = read_idempotency_key(request)
    found = read_job(read_body(request), key, request_id())
    [job] = refuse_suppressed(refuse_senders([found]))
    if isinstance(job, ApiError):
        raise job
    with charged(1) as not_new:
        submitted = queue().submit_one(job)
        if isinstance(submitted, IdempotencyConflict):
            raise submitted
        if not submitted.created:
            not_new.append(1)
    # The usual case needs no second look: the job is as it was accepted.
    data = _data(submitted.job) if submitted.job else _after_change(submitted.job_id)
    return answer(PROCESSED, query_id=submitted.job_id, data=data)


@bp.post("/jobs/batch")
def batch() -> Response:
    key = read_idempotency_key(request)
    asked = read_batch(read_body(request), key, request_id())
    jobs = refuse_suppressed(refuse_senders(asked))
    good = [job for job in jobs if isinstance(job, NewJob)]
    with charged(len(good)) as not_new:
        answers = queue().submit_each(good)
        not_new += [1 for one in answers if not (isinstance(one, Submitted) and one.created)]
    submitted = iter(answers)
    results = [
        _batch_result(next(submitted)) if isinstance(job, NewJob) else _rejected(job.errors)
        for job in jobs
    ]
    accepted = sum(result["query_id"] is not None for result in results)
    return json_response(
        {
            "message": PROCESSED,
            "accepted": accepted,
            "rejected": len(results) - accepted,
            "results": results,
        }
    )


@bp.get("/job/status/<job_id>")
def job_status(job_id: str) -> Response:
    job = inspector().job(_job_id(job_id))
    return answer(RETRIEVED, query_id=job.id, data=_data(job))


@bp.get("/tasks")
def tasks() -> Response:
    query = _jobs_query()
    page = inspector().page(query, with_payload=True)
    body: dict[str, Any] = {
        "status": "success",
        "total_tasks": page.total,
        "page": query.page,
        "limit": query.limit,
        "tasks_returned": len(page.jobs),
        "tasks": [_data(job) for job in page.jobs],
    }
    if not page.complete:
        body |= {"complete": False, "looked_at": page.looked_at, "candidates": page.candidates}
    return json_response(body)


@bp.get("/job/<job_id>/attempts")
def attempts(job_id: str) -> Response:
    found = _job_id(job_id)
    history = inspector().attempts(found)
    return answer(RETRIEVED, query_id=found, data=[attempt_data(one) for one in history])


@bp.post("/job/<job_id>/retry")
def retry(job_id: str) -> Response:
    found = _job_id(job_id)
    queue().retry(found)
    return answer("Job is pending again", query_id=found, data=_after_change(found))


@bp.post("/job/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    found = _job_id(job_id)
    cancelled = queue().cancel(found)
    message = "Job cancelled" if cancelled else "Job is being processed; its worker was asked"
    return answer(message, query_id=found, data=_after_change(found))


@bp.delete("/job/<job_id>")
def delete(job_id: str) -> Response:
    found = _job_id(job_id)
    queue().delete(found)
    return answer("Job deleted", query_id=found)


@bp.get("/stats")
def stats() -> Response:
    return answer("Statistics retrieved successfully", data=inspector().stats())


@bp.get("/workers")
def workers() -> Response:
    now = time.time()
    found = [worker_data(worker, now) for worker in inspector().workers()]
    return answer("Workers retrieved successfully", data=found)


@bp.post("/queue/pause")
def pause() -> Response:
    changed = queue().pause()
    message = "Queue paused" if changed else "Queue was paused already"
    return answer(message, data={"paused": True})


@bp.post("/queue/resume")
def resume() -> Response:
    changed = queue().resume()
    message = "Queue resumed" if changed else "Queue was not paused"
    return answer(message, data={"paused": False})


def queue() -> JobQueue:
    found: JobQueue = current_app.extensions["queue"]
    return found


def inspector() -> Inspector:
    found: Inspector = current_app.extensions["inspector"]
    return found


def _job_id(text: str) -> int:
    """The id in a path. What can't be one names no job, so it is not found. Raises ApiError."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and 1 <= int(text) <= ID_MAX:
        return int(text)
    raise ApiError(404, JOB_NOT_FOUND)


def _jobs_query() -> JobQuery:
    """The query string as a JobQuery. Raises InvalidFields."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise InvalidFields({name: ["Must be given only once."] for name in twice})
    try:
        fields = _JOBS_QUERY.load(request.args.to_dict())
    except ValidationError as error:
        raise InvalidFields(by_field(error.messages)) from None
    status, priority = fields.get("status"), fields.get("priority")
    return JobQuery(
        status=Status(status) if status else None,
        job_type=fields.get("job_type"),
        priority=Priority(priority) if priority else None,
        tag=fields.get("tag"),
        q=fields.get("q"),
        sort=fields["sort"],
        descending=fields["order"] == "desc",
        page=fields["page"],
        limit=fields["limit"],
        look=fields["look"],
    )


def _data(job: Job) -> dict[str, Any]:
    return job_data(job, current_app.extensions["config"].max_retries)


def _after_change(job_id: int) -> dict[str, Any] | None:
    """The job after it was changed; None when it is gone again, or Redis is.

    The change stands either way: an error here would make the caller repeat it.
    """
    try:
        return _data(inspector().job(job_id))
    except (JobNotFound, QueueUnavailable):
        return None


def _batch_result(submitted: Submitted | IdempotencyConflict | QueueUnavailable) -> dict[str, Any]:
    match submitted:
        case Submitted():
            return {"query_id": submitted.job_id}
        case IdempotencyConflict():
            return _rejected(queue_errors_by_field(submitted))
    return _rejected({"queue": ["The queue is not available. Try again with the same key."]})


def _rejected(errors: dict[str, Any]) -> dict[str, Any]:
    return {"query_id": None, "errors": errors}
