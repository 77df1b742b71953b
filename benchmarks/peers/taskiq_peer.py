"""taskiq with the list broker of taskiq-redis, acknowledged when received; no result store."""

from __future__ import annotations

import asyncio
import os
import sys

from taskiq_redis import ListQueueBroker

from benchmarks.peers import common

broker = ListQueueBroker(f"unix://{common.SOCKET}")
_loop = asyncio.new_event_loop()


@broker.task(task_name="noop")
async def noop(text: str) -> None:
    if seconds := common.begin(common.json.loads(text)):
        await asyncio.sleep(seconds)


def submit(payload: str) -> None:
    _loop.run_until_complete(noop.kiq(payload))


def submit_many(payloads: list[str]) -> None:
    async def all_of_them() -> None:
        # Some at once: it has no call for many.
        for first in range(0, len(payloads), 50):
            await asyncio.gather(*(noop.kiq(payload) for payload in payloads[first : first + 50]))

    _loop.run_until_complete(all_of_them())


def work(concurrency: int) -> None:
    command = [sys.executable, "-m", "taskiq", "worker", "--workers", "1", "--log-level", "ERROR"]
    command += ["--max-async-tasks", str(concurrency), f"{__name__}:broker"]
    os.environ["BENCH_GATE_AT_IMPORT"] = "1"
    os.execv(command[0], command)


if "BENCH_GATE_AT_IMPORT" in os.environ:
    common.wait_for_gate()
