"""The worker with little patience, so that a test need not have much."""

from app.security.slow_clients import PatientWorker


class HastyWorker(PatientWorker):
    head_seconds = 1.0
    request_seconds = 2.0
