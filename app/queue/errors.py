"""What the queue raises. Nothing here knows of HTTP or of a terminal."""

from __future__ import annotations


class QueueError(Exception):
    """Anything the queue refuses or can't do."""


class JobNotFound(QueueError):
    """No job has this id: it never existed, was deleted, or was trimmed."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} not found.")
        self.job_id = job_id


class OperationNotFound(QueueError):
    """No operation has this id: it never existed, or ended long ago."""

    def __init__(self, operation_id: int) -> None:
        super().__init__(f"Operation {operation_id} not found.")
        self.operation_id = operation_id


class WrongStatus(QueueError):
    """The job's status forbids what was asked."""

    def __init__(self, job_id: int, verb: str, found: str) -> None:
        super().__init__(f"Cannot {verb} job {job_id}: it {_HOW_IT_IS.get(found, found)}.")
        self.job_id = job_id
        self.verb = verb
        self.found = found


# What a job of each status does or did, to stand behind "it".
_HOW_IT_IS = {
    "scheduled": "is scheduled",
    "pending": "is pending",
    "processing": "is being processed",
    "success": "has succeeded",
    "failed": "waits for its next attempt",
    "permanently_failed": "has permanently failed",
    "cancelled": "was cancelled",
}


class LeaseLost(QueueError):
    """The worker no longer holds this job: its lease ran out and was reaped, or a person acted.

    The job's state was left untouched.
    """

    def __init__(self, job_id: int) -> None:
        super().__init__(f"The lease of job {job_id} is no longer this worker's.")
        self.job_id = job_id


class IdempotencyConflict(QueueError):
    """The idempotency key was used before, for a job with other content."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"This idempotency key belongs to job {job_id}, which has other content.")
        self.job_id = job_id


class InvalidJob(QueueError, ValueError):
    """A field of a submission breaks the queue's own rules (not the job type's schema)."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class QueueUnavailable(QueueError):
    """Redis is away, loading, read-only or full. Nothing was decided; try again later."""


class QueueFull(QueueUnavailable):
    """Redis has no memory left for new jobs. Jobs already accepted go on."""


class NotReplicated(QueueUnavailable):
    """The server has it, but no replica said in time that it has it as well.

    It may be done, and may be gone after a failover: ask again with the same idempotency key.
    """


class LayoutChanging(QueueUnavailable):
    """Shards are being added to the store, or were since the caller last looked. The job in whose
    place this stands was not submitted, nor anything of the step that it ended; what `submit_many`
    raises says nothing of its other steps. That is over within moments, unless whoever adds the
    shards was stopped half-way."""

    def __init__(self) -> None:
        super().__init__(
            "The number of shards is being changed. If that was interrupted, the same "
            "`flask queue shards N` again finishes it."
        )


class ServerUnsuitable(QueueError):
    """The server can't be used at all: too old, or the password is wrong."""
