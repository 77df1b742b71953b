"""How many jobs a second 1, 2 and 4 shards take in and drain, and what is the bottleneck of each.

Each shard is on a server process of its own, all on this machine together with the workers. Where
processors are few, what carries over are the processor's time, the bytes and the memory that a job
costs its server and its worker.

Run: python -m benchmarks.scale [jobs] [worker processes]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.config import Config
from app.queue.opening import Store
from app.queue.submission import NewJob
from benchmarks.peers.processes import cpu_seconds
from benchmarks.servers import PAYLOAD, wait_until, worker
from tests.cluster.servers import Cluster, running_cluster

SHARDS = (1, 2, 4)
STEP = 5_000  # jobs in one call of `submit_many`


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part of the work took."""

    seconds: float
    server_cpu: list[float]  # seconds of each server that has a shard
    client_cpu: float  # seconds of all that talk to them
    bytes_in: int  # to all servers
    bytes_out: int


def main(jobs: int = 40_000, workers: int = 2) -> None:
    print(
        f"{jobs:,} no-op jobs of 200 bytes, {workers} worker processes, {os.cpu_count()} processors"
    )
    print(
        "shards | submitted/s | drained/s | x 1 shard | busiest server | workers | all | "
        "us/job of servers to submit, to drain | workers | bytes/job to, from servers | memory"
    )
    alone = 0.0
    for shards in SHARDS:
        with (
            tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder,
            # A node each for the first four shards: their slots are 338, 4467, 8464 and 12593.
            running_cluster(Path(folder), masters=max(SHARDS)) as cluster,
        ):
            drained = measure(cluster, shards, jobs, workers, alone)
            alone = alone or drained


def measure(cluster: Cluster, shards: int, jobs: int, workers: int, alone: float) -> float:
    """Prints a line; jobs drained in a second."""
    settings = {
        "REDIS_URL": "",
        "REDIS_CLUSTER": f"127.0.0.1:{cluster.masters[0]}",
        "QUEUE_SHARDS": str(shards),
    }
    with environment(settings):
        store = Store(Config.load(None), name="benchmark", timeout_seconds=60)
    queue = store.queue
    queue.ensure_schema()
    queue.pause()
    empty = used_memory(cluster)
    submitted = submit(cluster, shards, store, jobs)
    memory = (used_memory(cluster) - empty) / jobs
    with ExitStack() as stack:
        pids = [stack.enter_context(worker("", **settings)).pid for _ in range(workers)]
        inspector = store.inspector()
        wait_until(lambda: len(inspector.workers()) == workers, "the workers are there")
        drained = drain(cluster, shards, store, jobs, pids)
    rate = jobs / drained.seconds
    busiest = max(drained.server_cpu) / drained.seconds
    of_workers = drained.client_cpu / drained.seconds
    per_job = 1e6 / jobs
    print(
        f"{shards:>6} | {jobs / submitted.seconds:>11,.0f} | {rate:>9,.0f} | "
        f"{rate / (alone or rate):>9.2f} | {busiest:>14.0%} | {of_workers:>7.0%} | "
        f"{(sum(drained.server_cpu) + drained.client_cpu) / drained.seconds:>3.0%} | "
        f"{sum(submitted.server_cpu) * per_job:>6.0f}, {sum(drained.server_cpu) * per_job:>4.0f} | "
        f"{drained.client_cpu * per_job:>6.0f} | "
        f"{(submitted.bytes_in + drained.bytes_in) / jobs:>5.0f}, "
        f"{(submitted.bytes_out + drained.bytes_out) / jobs:>5.0f} | {memory:>5.0f}",
        flush=True,
    )
    store.close()
    return rate


def submit(cluster: Cluster, shards: int, store: Store, jobs: int) -> Cost:
    with measuring(cluster, shards, [os.getpid()]) as cost:
        for first in range(0, jobs, STEP):
            store.queue.submit_many([NewJob("noop", PAYLOAD)] * min(STEP, jobs - first))
    return cost[0]


def drain(cluster: Cluster, shards: int, store: Store, jobs: int, pids: Sequence[int]) -> Cost:
    inspector = store.inspector()
    with measuring(cluster, shards, pids) as cost:
        store.queue.resume()
        wait_until(
            lambda: inspector.stats()["totals"]["succeeded"] == jobs, "all jobs succeeded", 300
        )
    return cost[0]


@contextmanager
def measuring(cluster: Cluster, shards: int, clients: Sequence[int]) -> Iterator[list[Cost]]:
    """The list has the cost at the end."""
    servers = [cluster.pid(port) for port in cluster.masters[:shards]]

    def counters() -> tuple[list[float], float, int, int]:
        infos = [cluster.info(port, "stats") for port in cluster.masters[:shards]]
        return (
            [cpu_seconds(pid) for pid in servers],
            sum(cpu_seconds(pid) for pid in clients),
            sum(int(info["total_net_input_bytes"]) for info in infos),
            sum(int(info["total_net_output_bytes"]) for info in infos),
        )

    found: list[Cost] = []
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
def environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
