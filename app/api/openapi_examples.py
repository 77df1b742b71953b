"""Requests of the OpenAPI description that can be sent as they stand, and what they answer.

Tests send each to the application, and hold its answer against what stands here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Body = dict[str, Any]


class Example(NamedTuple):
    """`answer`: the JSON of the answer 200, where it is not plain text. `path`: by parameter."""

    answer: Body | None
    body: Body | None = None
    path: Body = {}
    query: Body = {}


_MAIL = {"to": "ada@example.com", "subject": "Your order", "message": "It is on its way."}
_MAIL_TEXT = '{"to": "ada@example.com", "subject": "Your order", "message": "It is on its way."}'
_SUBMITTED: Body = {
    "id": 1,
    "job_type": "send_email",
    "payload": _MAIL_TEXT,
    "priority": "high",
    "created_at": 1748783995.842,
    "picked_at": None,
    "completed_at": None,
    "status": "pending",
    "retry_count": 0,
    "last_error": None,
    "run_at": None,
    "max_retries": 5,
    "tags": ["order-4711"],
    "worker": None,
    "result": None,
    "attempts": 0,
    "deaths": 0,
    "cancel_requested": False,
    "sending": False,
    "unconfirmed": False,
    "request_id": "5f0c1d2e3a4b5c6d",
}
_SUBMISSION: Body = {
    "job_type": "send_email",
    "priority": "high",
    "max_retries": 5,
    "tags": ["order-4711"],
    "payload": _MAIL,
}
_CANCELLED = _SUBMITTED | {"status": "cancelled", "completed_at": 1748783999.103}
_OPERATION: Body = {
    "id": 1,
    "action": "retry",
    "filter": {"status": "permanently_failed", "job_type": "send_email"},
    "by": "api key 3f9a01c7 (shop) 10.0.0.7",
    "status": "running",
    "total": 120,
    "done": 0,
    "skipped": 0,
    "created_at": 1748783995.842,
    "finished_at": None,
}
_ENTRY: Body = {
    "address": "bob@example.com",
    "reason": "Asked for no more mail",
    "at": 1748783995.842,
    "by": "api key 3f9a01c7 (shop) 10.0.0.7",
    "code": None,
    "job_id": None,
}
_STATS: Body = {
    "counts": {
        "scheduled": 0,
        "pending": 3,
        "processing": 1,
        "success": 1520,
        "failed": 2,
        "permanently_failed": 1,
        "cancelled": 0,
    },
    "total": 1527,
    "paused": False,
    "totals": {"submitted": 1527, "succeeded": 1520},
    "by_type": {"send_email": {"submitted": 1527, "succeeded": 1520}},
    "last_minute": {"submitted": 12, "succeeded": 11},
    "oldest_pending_seconds": 0.4,
    "workers_alive": 1,
    "slots": 16,
    "slots_busy": 1,
    "breakers": [],
    "revision": 9130,
}
_WORKER: Body = {
    "role": "main",
    "host": "mail-1",
    "pid": 4711,
    "concurrency": 16,
    "busy": 1,
    "name": "mail-1:4711",
    "last_seen_at": 1748783995.842,
    "alive": True,
}
_ATTEMPT: Body = {
    "number": 1,
    "started_at": 1748783996.01,
    "ended_at": 1748783996.42,
    "worker": "mail-1:4711",
    "outcome": "failed",
    "error": "451 4.7.1 Try again later",
    "smtp_code": 451,
}
_BATCH_ANSWER: Body = {
    "message": "Query processed successfully",
    "accepted": 1,
    "rejected": 1,
    "results": [
        {"query_id": 1},
        {"query_id": None, "errors": {"payload": {"to": ["Missing data for required field."]}}},
    ],
}


def _answer(message: str, data: Any, query_id: int | None = None) -> Body:
    return {"message": message, "query_id": query_id, "data": data}


_FOUND = "Job logs retrieved successfully"
_ONE = {"id": 1}
_BOB = {"address": "bob@example.com"}
EXAMPLES: dict[tuple[str, str], Example] = {
    ("post", "/api/process_query"): Example(
        _answer("Query processed successfully", _SUBMITTED, 1), _SUBMISSION
    ),
    ("post", "/api/jobs/batch"): Example(
        _BATCH_ANSWER,
        {
            "jobs": [
                _SUBMISSION,
                {"job_type": "send_email", "payload": {"subject": "Hi", "message": "Nobody's"}},
            ]
        },
    ),
    ("get", "/api/job/status/{id}"): Example(_answer(_FOUND, _SUBMITTED, 1), path=_ONE),
    ("get", "/api/job/{id}/attempts"): Example(_answer(_FOUND, [_ATTEMPT], 1), path=_ONE),
    ("get", "/api/tasks"): Example(
        {
            "status": "success",
            "total_tasks": 1,
            "page": 1,
            "limit": 20,
            "tasks_returned": 1,
            "tasks": [_SUBMITTED],
        },
        query={"status": "pending", "limit": 20},
    ),
    ("get", "/api/stats"): Example(_answer("Statistics retrieved successfully", _STATS)),
    ("get", "/api/workers"): Example(_answer("Workers retrieved successfully", [_WORKER])),
    ("post", "/api/job/{id}/retry"): Example(
        _answer("Job is pending again", _SUBMITTED, 1), path=_ONE
    ),
    ("post", "/api/job/{id}/cancel"): Example(_answer("Job cancelled", _CANCELLED, 1), path=_ONE),
    ("delete", "/api/job/{id}"): Example(_answer("Job deleted", None, 1), path=_ONE),
    ("post", "/api/jobs/actions"): Example(
        _answer("Operation started", _OPERATION),
        {"action": _OPERATION["action"], "filter": _OPERATION["filter"]},
    ),
    ("get", "/api/operations/{id}"): Example(
        _answer("Operation retrieved successfully", _OPERATION), path=_ONE
    ),
    ("post", "/api/operations/{id}/stop"): Example(
        _answer("Operation stopped; what was done stands", _OPERATION | {"status": "stopped"}),
        path=_ONE,
    ),
    ("post", "/api/queue/pause"): Example(_answer("Queue paused", {"paused": True})),
    ("post", "/api/queue/resume"): Example(_answer("Queue was not paused", {"paused": False})),
    ("get", "/api/suppressions"): Example(
        _answer(
            "Suppression list retrieved successfully",
            {"total": 1, "page": 1, "limit": 50, "suppressions": [_ENTRY]},
        ),
        query={"q": "example.com"},
    ),
    ("post", "/api/suppressions"): Example(
        _answer("Put on the suppression list", _ENTRY),
        {"address": _ENTRY["address"], "reason": _ENTRY["reason"]},
    ),
    ("get", "/api/suppressions/{address}"): Example(
        _answer("Suppression list retrieved successfully", _ENTRY), path=_BOB
    ),
    ("put", "/api/suppressions/{address}"): Example(
        _answer("Put on the suppression list", _ENTRY), {"reason": _ENTRY["reason"]}, path=_BOB
    ),
    ("delete", "/api/suppressions/{address}"): Example(
        _answer("Taken off the suppression list", None), path=_BOB
    ),
    ("get", "/healthz"): Example({"status": "ok"}),
    ("get", "/readyz"): Example(
        {
            "status": "ok",
            "reasons": [],
            "warnings": [],
            "oldest_pending_seconds": None,
            "last_success_seconds": 0.8,
        }
    ),
    ("get", "/metrics"): Example(None),
}
