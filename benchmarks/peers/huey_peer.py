"""Huey: threads, no result store, its worker woken by a blocking pop."""

from __future__ import annotations

from huey import RedisHuey

from benchmarks.peers import common

huey = RedisHuey("bench", url=f"unix://{common.SOCKET}", results=False, blocking=True)


@huey.task(name="noop")
def noop(text: str) -> None:
    common.run(text)


def submit(payload: str) -> None:
    noop(payload)


def submit_many(payloads: list[str]) -> None:
    for payload in payloads:  # it has no call for many
        noop(payload)


def work(concurrency: int) -> None:
    common.wait_for_gate()
    huey.create_consumer(
        workers=concurrency, worker_type="thread", periodic=False, check_worker_health=False
    ).run()
