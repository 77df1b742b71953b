"""What 1, 2 and 4 shards take in and drain, what is the bottleneck of each, and what a mail costs.

Each shard is on a server process of its own, all on this machine together with the workers. Where
processors are few, what carries over are the processor's time, the bytes and the memory that a job
costs its server and its worker. Mails go to a sink on this machine that takes them at once.

Run: python -m benchmarks.scale [jobs] [worker processes] [mails] [rounds]
Prints medians over the rounds, and the range of what was drained.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.config import Config
from app.queue.inspector import Inspector
from app.queue.opening import Store
from app.queue.submission import NewJob
from benchmarks.peers.processes import busy_seconds, cpu_seconds
from benchmarks.servers import PAYLOAD, wait_until, worker
from benchmarks.smtp import TEXT, sink
from tests.cluster.servers import Cluster, running_cluster

SHARDS = (1, 2, 4)
STEP = 5_000  # jobs in one call of `submit_many`
MAIL = {"to": "user@example.com", "subject": "Your order", "message": TEXT}
COLUMNS = {  # and how each is written
    "submitted/s": "{:,.0f}",
    "drained/s": "{:,.0f}",
    "servers, submitting": "{:.0f}",
    "servers, draining": "{:.0f}",
    "home, draining": "{:.0f}",
    "workers": "{:.0f}",
    "bytes in": "{:,.0f}",
    "bytes out": "{:,.0f}",
    "memory": "{:,.0f}",
    "busy: server": "{:.0%}",
    "workers, all": "{:.0%}",
    "watching": "{:.0%}",
    "machine": "{:.0%}",
}
Figures = dict[str, float]  # by column


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
    client_cpu: float  # seconds of those that submit, or work
    own_cpu: float  # seconds of this process
    machine_cpu: float  # seconds of all processors together
    bytes_in: float  # to all servers
    bytes_out: float


def main(jobs: int = 40_000, workers: int = 2, mails: int = 10_000, rounds: int = 3) -> None:
    print(
        f"{workers} worker processes of 16 threads, {os.cpu_count()} processors, {rounds} rounds."
    )
    print("Servers, home and workers: microseconds of processor time for a job, home being the")
    print(
        "server of shard 0. Bytes: for a job, to and from the servers, and in their memory while it"
    )
    print("waits. Busy: while draining, of one processor: the busiest server, all workers, this")
    print("process, which watches, and the whole machine.")
    with sink() as port:
        to_sink = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "none"}
        noop = Work("no-op", NewJob("noop", PAYLOAD), jobs, {})
        mail = Work("mail", NewJob("send_email", json.dumps(MAIL)), mails, to_sink)
        no_list = replace(mail, name="mail, no list", settings=to_sink | {"MAIL_SUPPRESSION": "0"})
        cases = [(noop, shards) for shards in SHARDS]
        cases += [(work, shards) for work in (mail, no_list) for shards in SHARDS[:2]]
        found: dict[tuple[str, int], list[Figures]] = {}
        for _ in range(rounds):
            for work, shards in cases:
                figures = on_a_cluster(work, shards, workers)
                found.setdefault((work.name, shards), []).append(figures)
                print(f"  {work.name}, {shards}: {figures['drained/s']:,.0f}/s", flush=True)
    print(" | ".join(("work", "shards", *COLUMNS, "drained/s, range")))
    for (name, shards), every in found.items():
        cells = [
            form.format(statistics.median(figures[column] for figures in every))
            for column, form in COLUMNS.items()
        ]
        drained = [figures["drained/s"] for figures in every]
        cells.append(f"{min(drained):,.0f} – {max(drained):,.0f}")
        print(" | ".join((name, str(shards), *cells)), flush=True)


def on_a_cluster(work: Work, shards: int, workers: int) -> Figures:
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
        return measure(cluster, work, shards, workers, settings)


def measure(
    cluster: Cluster, work: Work, shards: int, workers: int, settings: Mapping[str, str]
) -> Figures:
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
    return {
        "submitted/s": work.jobs / submitting.seconds,
        "drained/s": work.jobs / draining.seconds,
        "servers, submitting": sum(submitting.server_cpu) * per_job,
        "servers, draining": sum(draining.server_cpu) * per_job,
        "home, draining": draining.server_cpu[0] * per_job,
        "workers": draining.client_cpu * per_job,
        "bytes in": (submitting.bytes_in + draining.bytes_in) / work.jobs,
        "bytes out": (submitting.bytes_out + draining.bytes_out) / work.jobs,
        "memory": memory / work.jobs,
        "busy: server": max(draining.server_cpu) / draining.seconds,
        "workers, all": draining.client_cpu / draining.seconds,
        "watching": draining.own_cpu / draining.seconds,
        "machine": draining.machine_cpu / draining.seconds,
    }


def succeeded(inspector: Inspector) -> int:
    totals: dict[str, int] = inspector.stats()["totals"]
    return totals["succeeded"]


@contextmanager
def measuring(
    cluster: Cluster, shards: int, clients: Sequence[int], costs: list[Cost] | None = None
) -> Iterator[list[Cost]]:
    """Appends the cost at the end."""
    ports = cluster.masters[:shards]

    def counters() -> list[float]:
        infos = [cluster.info(port, "stats") for port in ports]
        return [
            *(cpu_seconds(cluster.pid(port)) for port in ports),
            sum(cpu_seconds(pid) for pid in clients),
            time.process_time(),
            busy_seconds(),
            sum(int(info["total_net_input_bytes"]) for info in infos),
            sum(int(info["total_net_output_bytes"]) for info in infos),
        ]

    found = [] if costs is None else costs
    before, began = counters(), time.perf_counter()
    yield found
    seconds, after = time.perf_counter() - began, counters()
    took = [b - a for a, b in zip(before, after, strict=True)]
    found.append(Cost(seconds, took[:shards], *took[shards:]))


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
