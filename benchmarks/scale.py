"""What 1, 2 and 4 shards take in and drain, what is the bottleneck of each, and what a mail costs.

Each shard is on a server process of its own, all on this machine together with the workers. Where
processors are few, what carries over are the processor's time, the bytes and the memory that a job
costs its server and its worker. Mails go to a sink on this machine that takes them at once.

Run: python -m benchmarks.scale [jobs] [worker processes] [mails]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.config import Config
from app.queue.inspector import Inspector
from app.queue.opening import Store
from app.queue.submission import NewJob
from benchmarks.peers.processes import cpu_seconds
from benchmarks.servers import PAYLOAD, wait_until, worker
from benchmarks.smtp import TEXT, sink
from tests.cluster.servers import Cluster, running_cluster

SHARDS = (1, 2, 4)
STEP = 5_000  # jobs in one call of `submit_many`
MAIL = {"to": "user@example.com", "subject": "Your order", "message": TEXT}
COLUMNS = (
    "work",
    "shards",
    "submitted/s",
    "drained/s",
    "servers, submitting",
    "servers, draining",
    "workers",
    "bytes in",
    "bytes out",
    "memory",
    "busy: server",
    "workers",
    "machine",
)


@dataclass(frozen=True, slots=True)
class Work:
    name: str
    job: NewJob
    jobs: int
    settings: Mapping[str, str]  # of the workers


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part of the work took."""

    seconds: float
    server_cpu: list[float]  # seconds of each server that has a shard
    client_cpu: float  # seconds of all that talk to them
    bytes_in: int  # to all servers
    bytes_out: int


def main(jobs: int = 40_000, workers: int = 2, mails: int = 10_000) -> None:
    print(f"{workers} worker processes of 16 threads, {os.cpu_count()} processors.")
    print("Servers and workers: microseconds of processor time for a job. Bytes: for a job, to and")
    print("from the servers, and in their memory while it waits. Busy: while draining, of one")
    print("processor: the busiest server, all workers, all of them together.")
    print(" | ".join(COLUMNS))
    noop = Work("no-op", NewJob("noop", PAYLOAD), jobs, {})
    for shards in SHARDS:
        on_a_cluster(noop, shards, workers)
    with sink() as port:
        to_sink = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "none"}
        mail = NewJob("send_email", json.dumps(MAIL))
        for shards in SHARDS[:2]:
            on_a_cluster(Work("mail", mail, mails, to_sink), shards, workers)


def on_a_cluster(work: Work, shards: int, workers: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder,
        # A node each for the first four shards: their slots are 338, 4467, 8464 and 12593.
        running_cluster(Path(folder), masters=max(SHARDS)) as cluster,
    ):
        settings = {
            "REDIS_URL": "",
            "REDIS_CLUSTER": f"127.0.0.1:{cluster.masters[0]}",
            "QUEUE_SHARDS": str(shards),
            **work.settings,
        }
        measure(cluster, work, shards, workers, settings)


def measure(
    cluster: Cluster, work: Work, shards: int, workers: int, settings: Mapping[str, str]
) -> None:
    """Prints a line."""
    with environment(settings):
        store = Store(Config.load(None), name="benchmark", timeout_seconds=60)
    queue = store.queue
    queue.ensure_schema()
    queue.pause()
    empty = used_memory(cluster)
    with measuring(cluster, shards, [os.getpid()]) as costs:
        for first in range(0, work.jobs, STEP):
            queue.submit_many([work.job] * min(STEP, work.jobs - first))
    memory = used_memory(cluster) - empty
    inspector = store.inspector()
    with ExitStack() as stack:
        pids = [stack.enter_context(worker("", **settings)).pid for _ in range(workers)]
        wait_until(lambda: len(inspector.workers()) == workers, "the workers are there")
        with measuring(cluster, shards, pids, costs):
            queue.resume()
            wait_until(lambda: succeeded(inspector) == work.jobs, "all jobs succeeded", 300)
    store.close()
    submitting, draining = costs
    per_job = 1e6 / work.jobs
    cells = (
        work.name,
        f"{shards}",
        f"{work.jobs / submitting.seconds:,.0f}",
        f"{work.jobs / draining.seconds:,.0f}",
        f"{sum(submitting.server_cpu) * per_job:.0f}",
        f"{sum(draining.server_cpu) * per_job:.0f}",
        f"{draining.client_cpu * per_job:.0f}",
        f"{(submitting.bytes_in + draining.bytes_in) / work.jobs:,.0f}",
        f"{(submitting.bytes_out + draining.bytes_out) / work.jobs:,.0f}",
        f"{memory / work.jobs:,.0f}",
        f"{max(draining.server_cpu) / draining.seconds:.0%}",
        f"{draining.client_cpu / draining.seconds:.0%}",
        f"{(sum(draining.server_cpu) + draining.client_cpu) / draining.seconds:.0%}",
    )
    columns = zip(cells, COLUMNS, strict=True)
    print(" | ".join(f"{cell:>{len(column)}}" for cell, column in columns), flush=True)


def succeeded(inspector: Inspector) -> int:
    totals: dict[str, int] = inspector.stats()["totals"]
    return totals["succeeded"]


@contextmanager
def measuring(
    cluster: Cluster, shards: int, clients: Sequence[int], costs: list[Cost] | None = None
) -> Iterator[list[Cost]]:
    """Appends the cost at the end."""
    ports = cluster.masters[:shards]

    def counters() -> tuple[list[float], float, int, int]:
        infos = [cluster.info(port, "stats") for port in ports]
        return (
            [cpu_seconds(cluster.pid(port)) for port in ports],
            sum(cpu_seconds(pid) for pid in clients),
            sum(int(info["total_net_input_bytes"]) for info in infos),
            sum(int(info["total_net_output_bytes"]) for info in infos),
        )

    found = [] if costs is None else costs
    before, began = counters(), time.perf_counter()
    yield found
    seconds, after = time.perf_counter() - began, counters()
    found.append(
        Cost(
            seconds,
            [b - a for a, b in zip(before[0], after[0], strict=True)],
            after[1] - before[1],
            after[2] - before[2],
            after[3] - before[3],
        )
    )


def used_memory(cluster: Cluster) -> int:
    return sum(int(cluster.info(port, "memory")["used_memory"]) for port in cluster.masters)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
