"""What a job takes in Redis, everything counted: record, payload, indexes, history, counters.

Beside jobs that nobody can search: mails with a title and one recipient, searchable and not.

Run: python -m benchmarks.memory [jobs]
"""

from __future__ import annotations

import sys

import redis

from app.queue import outcome as outcomes
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from benchmarks.servers import PAYLOAD, open_client, server

WORKER = "mail-host-01-12345-a1b2"  # as long as real names are
GOAL = 800


def main(jobs: int = 100_000) -> None:
    plain = [NewJob("noop", PAYLOAD)] * jobs
    mails = [
        NewJob("noop", PAYLOAD, title=f"Your invoice {n}", people=(f"user{n}@example.com",))
        for n in range(jobs)
    ]
    pending, finished = measure(plain)
    _, shown = measure(mails, search=False)
    _, searchable = measure(mails)
    print(f"jobs: {jobs:,}, payload {len(PAYLOAD)} bytes")
    print(f"pending job:            {pending:6.0f} bytes")
    print(f"finished job:           {finished:6.0f} bytes")
    print(f"finished / goal of {GOAL}: {finished / GOAL:6.2f}")
    print(f"title and recipient:    {shown - finished:6.0f} bytes more a mail")
    print(f"to search them by:      {searchable - shown:6.0f} bytes more a mail")


def measure(jobs: list[NewJob], *, search: bool = True) -> tuple[float, float]:
    """Bytes a job takes while it is pending, and when it is finished."""
    with server() as url:
        client = open_client(url)
        queue = JobQueue(client, search=search)
        queue.turn(WORKER, (), 1)  # loads the scripts
        empty = used(client)
        queue.submit_many(jobs)
        pending = (used(client) - empty) / len(jobs)
        finish(queue)
        forget_calls(client)
        return pending, (used(client) - empty) / len(jobs)


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
