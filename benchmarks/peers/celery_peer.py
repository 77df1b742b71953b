"""Celery: threads, results ignored, no gossip, no events."""

from __future__ import annotations

import celery

from benchmarks.peers import common

app = celery.Celery("bench", broker=f"redis+socket://{common.SOCKET}")
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="noop")
def noop(text: str) -> None:
    common.run(text)


def submit(payload: str) -> None:
    noop.delay(payload)


def submit_many(payloads: list[str]) -> None:
    with app.producer_pool.acquire(block=True) as producer:  # it has no call for many
        for payload in payloads:
            noop.apply_async((payload,), producer=producer)


def work(concurrency: int) -> None:
    common.wait_for_gate()
    options = ["--loglevel", "ERROR", "--pool", "threads", "--concurrency", str(concurrency)]
    app.worker_main(["worker", *options, "--without-gossip", "--without-mingle"])
