"""The worker with little patience, so that a test need not have much."""

from app.security.slow_clients import PatientWorker


class HastyWorker(PatientWorker):
    request_wait_seconds = 1.0
    read_seconds = 2.0
