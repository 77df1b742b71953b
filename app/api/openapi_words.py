"""What the OpenAPI description says of each operation in words: its group, and what to know."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    tag: str
    operation_id: str
    description: str


TAGS = {
    "Submit": "Hand over jobs. Give each an Idempotency-Key, and any request can be repeated.",
    "Look": "What became of jobs, what waits, and who works.",
    "Act on one job": "Each is refused with 409 where the job's status forbids it.",
    "Act on many jobs": "Retry, cancel or delete whatever matches a filter, in the background.",
    "Steer": "Stop and start handing out jobs.",
    "Suppressions": "The addresses to which no mail is sent, because one bounced for good.",
    "Operate": "For load balancers, orchestrators and Prometheus.",
}

WORDS: dict[tuple[str, str], Words] = {
    ("post", "/api/process_query"): Words(
        "Submit",
        "submitJob",
        "Answers at once with the job's id; a worker does it later. 200 means that the job is "
        "stored. After a time-out, a broken connection, 429 or 503, send the same again with the "
        "same `Idempotency-Key`: it is one job, however often it is sent.",
    ),
    ("post", "/api/jobs/batch"): Words(
        "Submit",
        "submitBatch",
        "Each job is checked on its own; a bad one stops no other. `results` has an entry for each "
        "job, in order: its `query_id`, or null with `errors`.",
    ),
    ("get", "/api/job/status/{id}"): Words(
        "Look",
        "getJob",
        "Its status, result and last error. `success`, `permanently_failed` and `cancelled` are "
        "final. 404 when it is unknown, was deleted, or its retention is over.",
    ),
    ("get", "/api/job/{id}/attempts"): Words(
        "Look",
        "listAttempts",
        "Each finished attempt: start, end, worker, outcome, error, the mail server's code. The "
        "newest stands last.",
    ),
    ("get", "/api/tasks"): Words(
        "Look",
        "listJobs",
        "Newest first. All filters given must match. `q` is an id, `#tag`, an address, `@domain` "
        "or the beginning of a subject. When a search has more than `look` candidates, `complete` "
        "is false and only some were looked at.",
    ),
    ("get", "/api/stats"): Words(
        "Look", "getStats", "Jobs by status and type, what happened in the last minute, workers."
    ),
    ("get", "/api/workers"): Words(
        "Look", "listWorkers", "Each worker, whether it is alive, and the jobs that it holds."
    ),
    ("post", "/api/job/{id}/retry"): Words(
        "Act on one job",
        "retryJob",
        "Makes a job that failed, for now or for good, or was cancelled, pending again.",
    ),
    ("post", "/api/job/{id}/cancel"): Words(
        "Act on one job",
        "cancelJob",
        "A job that waits is cancelled at once. One that is being processed is asked to stop; "
        "`cancel_requested` tells that it was.",
    ),
    ("delete", "/api/job/{id}"): Words(
        "Act on one job", "deleteJob", "Forgets the job and its history. There is no way back."
    ),
    ("post", "/api/jobs/actions"): Words(
        "Act on many jobs",
        "actOnJobs",
        'Give a `filter`, or `"all": true` for every job there is. `"dry_run": true` only counts. '
        "Answers at once with an operation; ask for it to see its progress.",
    ),
    ("get", "/api/operations/{id}"): Words(
        "Act on many jobs", "getOperation", "How many matched, are done, or were skipped."
    ),
    ("post", "/api/operations/{id}/stop"): Words(
        "Act on many jobs", "stopOperation", "What was done stands."
    ),
    ("post", "/api/queue/pause"): Words(
        "Steer", "pauseQueue", "Jobs are still taken in; those in hand are finished."
    ),
    ("post", "/api/queue/resume"): Words("Steer", "resumeQueue", "Paused or not: it runs then."),
    ("get", "/api/suppressions"): Words(
        "Suppressions", "listSuppressions", "Newest first; `q` is a part of the address."
    ),
    ("post", "/api/suppressions"): Words(
        "Suppressions", "addSuppression", "Done twice, it is done."
    ),
    ("get", "/api/suppressions/{address}"): Words(
        "Suppressions", "getSuppression", "404 when mail may be sent there."
    ),
    ("put", "/api/suppressions/{address}"): Words(
        "Suppressions", "putSuppression", "The body, with a reason, may be left out."
    ),
    ("delete", "/api/suppressions/{address}"): Words(
        "Suppressions", "removeSuppression", "Mail may be sent there again."
    ),
    ("get", "/healthz"): Words(
        "Operate", "isAlive", "This process alone; says nothing of Redis or workers."
    ),
    ("get", "/readyz"): Words(
        "Operate",
        "isReady",
        "Redis can be written to and a main worker lives. `warnings`: what is amiss but stops no "
        "jobs, such as a mail server that is away.",
    ),
    ("get", "/metrics"): Words(
        "Operate", "getMetrics", "While Redis is away, it answers 200 with `mailroom_redis_up 0`."
    ),
}
