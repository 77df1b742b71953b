"""What a job takes in Redis, everything counted: record, payload, indexes, history, counters.

Run: python -m benchmarks.memory [jobs]
"""

from __future__ import annotations

import sys

import redis

from app.queue import outcome as outcomes
from app.queue.jobqueue import JobQueue
from benchmarks.drain import fill
from benchmarks.servers import PAYLOAD, open_client, server

WORKER = "mail-host-01-12345-a1b2"  # as long as real names are
GOAL = 900


def main(jobs: int = 100_000) -> None:
    with server() as url:
        client = open_client(url)
        queue = JobQueue(client)
        queue.turn(WORKER, (), 1)  # loads the scripts
        empty = used(client)
        fill(queue, jobs)
        pending = (used(client) - empty) / jobs
        finish(queue)
        forget_calls(client)
        finished = (used(client) - empty) / jobs
        server_name = client.info("server").get("valkey_version") or "Redis"
    print(f"jobs: {jobs:,}, payload {len(PAYLOAD)} bytes, server {server_name}")
    print(f"pending job:            {pending:6.0f} bytes")
    print(f"finished job:           {finished:6.0f} bytes")
    print(f"finished / goal of {GOAL}: {finished / GOAL:6.2f}")


def finish(queue: JobQueue) -> None:
    finished: list[outcomes.Outcome] = []
    while True:
        turn = queue.turn(WORKER, finished, 100)
        finished = [outcomes.completed(job) for job in turn.jobs]
        if not finished:
            return


def forget_calls(client: redis.Redis) -> None:
    """What calls leave to be recognised for a minute is not the jobs'."""
    for key in client.scan_iter("Call:*", 1000):
        client.delete(key)


def used(client: redis.Redis) -> int:
    """Bytes the server holds for data, its buffers apart."""
    memory = client.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_clients_normal"])


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
