"""Dramatiq with its Redis broker. It stores no status; the middlewares it does not need are off."""

from __future__ import annotations

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers import common

broker = RedisBroker(url=f"unix://{common.SOCKET}", middleware=[])
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="noop")
def noop(text: str) -> None:
    common.run(text)


def submit(payload: str) -> None:
    noop.send(payload)


def submit_many(payloads: list[str]) -> None:
    for payload in payloads:  # it has no call for many
        noop.send(payload)


def work(concurrency: int) -> None:
    command = [sys.executable, "-m", "dramatiq", "--processes", "1", "--threads", str(concurrency)]
    os.environ["BENCH_GATE_AT_IMPORT"] = "1"
    os.execv(command[0], [*command, __name__])


if "BENCH_GATE_AT_IMPORT" in os.environ:
    common.wait_for_gate()
