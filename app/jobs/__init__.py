"""Job types: what a worker runs. `from app.jobs import job_type` adds one."""

from app.jobs.loading import JobModuleError, close_job_types, load_job_types
from app.jobs.registry import (
    InvalidPayload,
    JobType,
    Summary,
    UnknownJobType,
    find,
    job_type,
    known,
    max_retries_of,
)
from app.queue.outcome import GiveBack, JobCancelled, PermanentFailure, RetryLater

__all__ = [
    "GiveBack",
    "InvalidPayload",
    "JobCancelled",
    "JobModuleError",
    "JobType",
    "PermanentFailure",
    "RetryLater",
    "Summary",
    "UnknownJobType",
    "close_job_types",
    "find",
    "job_type",
    "known",
    "load_job_types",
    "max_retries_of",
]
