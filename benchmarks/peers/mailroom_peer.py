"""Mailroom as it is: all statuses, leases, indexes and history kept."""

from __future__ import annotations

import os
import time

from app.jobs import job_type
from app.queue.connection import connect
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from benchmarks.peers.common import SOCKET, begin, wait_for_gate

URL = f"unix://{SOCKET}"
_queue = JobQueue(connect(URL, name="benchmark", timeout_seconds=60))


@job_type("noop")
def noop(job: Job) -> None:
    if seconds := begin(job.data):
        time.sleep(seconds)


def submit(payload: str) -> None:
    _queue.submit("noop", payload)


def submit_many(payloads: list[str]) -> None:
    _queue.submit_many([NewJob("noop", payload) for payload in payloads])


def work(concurrency: int) -> None:
    os.environ |= {
        "REDIS_URL": URL,
        "JOB_MODULES": __name__,
        "LOG_LEVEL": "WARNING",
        "WORKER_CONCURRENCY": str(concurrency),
    }
    from app.config import Config
    from workers.startup import prepare
    from workers.worker_base import Worker

    config = Config.load(env_file=None)
    prepare(config)
    wait_for_gate()
    Worker(config).run()
