"""RQ with `SimpleWorker`, which runs jobs in its own process, one after the other: several times
as fast as its usual worker, which forks for each job. Keeps records and results for 500 s."""

from __future__ import annotations

import redis
from rq import Queue, SimpleWorker

from benchmarks.peers import common

_client = redis.Redis(unix_socket_path=common.SOCKET)
_queue = Queue("bench", connection=_client)


def submit(payload: str) -> None:
    _queue.enqueue(common.run, payload)


def submit_many(payloads: list[str]) -> None:
    for first in range(0, len(payloads), 250):
        some = payloads[first : first + 250]
        _queue.enqueue_many([Queue.prepare_data(common.run, (payload,)) for payload in some])


def work(_concurrency: int) -> None:
    common.wait_for_gate()
    SimpleWorker([_queue], connection=_client).work(logging_level="ERROR")
