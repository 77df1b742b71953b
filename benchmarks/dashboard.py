"""How long the dashboard's table takes: every sort × direction × filter × first, middle, last page.

    python -m benchmarks.dashboard                    # 10,000 and 1,000,000 jobs, and their ratio
    python -m benchmarks.dashboard --jobs 100000 --sample 500

Fills a server of its own through the queue's scripts, then asks the real application for
`/dashboard/partials/jobs-table`. "partial" is the time of the whole request, "page" that of
`Inspector.page` alone, "script" the longest command by the server's own clock.
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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.dashboard.query import address
from app.embedded import find_server_binary
from app.queue.inspector import SORTS, Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from benchmarks.fill import JOB_TYPES, TAGS, fill
from benchmarks.memory import used
from benchmarks.servers import PAYLOAD

PARTIAL = "/dashboard/partials/jobs-table"
GOAL_MS, GOAL_SCRIPT_MS, GOAL_RATIO = 10.0, 3.0, 1.5
SEARCHES = ("user77@host77.example", "@host7.example", "your invoice 12", "#vip")


@dataclass(frozen=True)
class Timing:
    query: JobQuery
    partial_ms: float
    page_ms: float
    script_ms: float


def main() -> None:
    arguments = parse_arguments()
    found: dict[int, list[Timing]] = {}
    for jobs in arguments.jobs:
        with server(arguments.server) as client:
            empty, began = used(client), time.perf_counter()
            fill(JobQueue(client), jobs, PAYLOAD)
            print(
                f"\n{jobs:,} jobs in {client.scard('Buckets')} buckets, "
                f"{(used(client) - empty) / jobs:.0f} bytes a job, "
                f"filled in {time.perf_counter() - began:.0f} s"
            )
            found[jobs] = measure(client, arguments)
            report(found[jobs])
    if len(found) > 1:
        report_ratio(found[min(found)], found[max(found)])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--sample", type=int, default=0, help="so many pages only; 0: all")
    parser.add_argument("--repeats", type=int, default=1, help="takes the best, on a busy machine")
    parser.add_argument("--server", default="", help="the server's binary")
    return parser.parse_args()


def measure(client: redis.Redis, arguments: argparse.Namespace) -> list[Timing]:
    inspector = Inspector(client)
    http = create_app(Config.load(env_file=None), client=client).test_client()
    client.config_set("slowlog-log-slower-than", 0)
    client.config_set("slowlog-max-len", 200)
    chosen = list(queries(inspector, arguments.limit))
    if arguments.sample:
        chosen = random.Random(1).sample(chosen, min(arguments.sample, len(chosen)))
    measure_once(client, inspector, http, chosen[0])  # templates are compiled, scripts loaded
    return [
        min(
            (measure_once(client, inspector, http, query) for _ in range(arguments.repeats)),
            key=lambda timing: timing.partial_ms,
        )
        for query in chosen
    ]


def queries(inspector: Inspector, limit: int) -> Iterator[JobQuery]:
    for query in filters(limit):
        last = max(1, -(-inspector.page(query).total // limit))
        for sort, descending in itertools.product(SORTS, (True, False)):
            for page in sorted({1, last // 2 + 1, last}):
                yield replace(query, sort=sort, descending=descending, page=page)


def filters(limit: int) -> Iterator[JobQuery]:
    combined = itertools.product((None, *Status), (None, *JOB_TYPES), (None, *Priority))
    for status, job_type, priority in combined:
        yield JobQuery(status=status, job_type=job_type, priority=priority, limit=limit)
    for status in (None, Status.SUCCESS, Status.PERMANENTLY_FAILED):
        for tag in TAGS:
            yield JobQuery(status=status, tag=tag, limit=limit)
        for q in SEARCHES:
            yield JobQuery(status=status, q=q, limit=limit)


def measure_once(
    client: redis.Redis, inspector: Inspector, http: FlaskClient, query: JobQuery
) -> Timing:
    page_ms = timed(lambda: inspector.page(query))
    client.slowlog_reset()
    asked = address(query, page=query.page)
    partial_ms = timed(lambda: checked(http.get(PARTIAL, query_string=asked)))
    longest = max(entry["duration"] for entry in client.slowlog_get(200)) / 1000
    return Timing(query, partial_ms, page_ms, longest)


def timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def checked(response: Any) -> None:
    assert response.status_code == 200, response.status


def report(timings: list[Timing]) -> None:
    print(f"{'':<16}{'pages':>7}{'partial p50':>13}{'p95':>7}{'max':>8}", end="")
    print(f"{'page p50':>11}{'p95':>7}{'max':>8}{'script p95':>12}{'max':>7}  (ms)")
    searched = [timing for timing in timings if is_search(timing)]
    plain = [timing for timing in timings if not is_search(timing)]
    for sort in SORTS:
        line(sort, (timing for timing in plain if timing.query.sort == sort))
    line("all", plain)
    line("tags, searches", searched)
    for name, chosen in (("", plain), (" with tag or search", searched)):
        print(f"longest scripts{name}:")
        for timing in sorted(chosen, key=lambda t: -t.script_ms)[:3]:
            print(f"  {timing.script_ms:.2f} ms: {described(timing.query)}")
    p95 = quantile([timing.partial_ms for timing in plain], 0.95)
    print(f"p95 of the partial / goal of {GOAL_MS:.0f} ms: {p95 / GOAL_MS:.2f}")
    longest = max(timing.script_ms for timing in plain)
    print(f"longest script / goal of {GOAL_SCRIPT_MS:.0f} ms: {longest / GOAL_SCRIPT_MS:.2f}")


def is_search(timing: Timing) -> bool:
    return bool(timing.query.tag or timing.query.q)


def line(name: str, timings: Iterable[Timing]) -> None:
    chosen = list(timings)
    if not chosen:
        return
    figures = [f"{name:<16}{len(chosen):>7}"]
    for field, first_width in (("partial_ms", 13), ("page_ms", 11)):
        values = [getattr(timing, field) for timing in chosen]
        figures.append(f"{statistics.median(values):>{first_width}.2f}")
        figures.append(f"{quantile(values, 0.95):>7.2f}{max(values):>8.2f}")
    scripts = [timing.script_ms for timing in chosen]
    figures.append(f"{quantile(scripts, 0.95):>12.2f}{max(scripts):>7.2f}")
    print("".join(figures))


def report_ratio(small: list[Timing], large: list[Timing]) -> None:
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        low, high = (
            quantile([t.partial_ms for t in timings if not is_search(t)], share)
            for timings in (small, large)
        )
        print(f"{name} of the largest / {name} of the smallest: {high / low:.2f} ({GOAL_RATIO})")


def described(query: JobQuery) -> str:
    filters = address(query, page=query.page)
    return ", ".join(f"{name} {value}" for name, value in filters.items()) or "the first page"


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextmanager
def server(binary: str) -> Iterator[redis.Redis]:
    """Without persistence: a rewrite of its log would be measured too."""
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        socket = Path(folder) / "s"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        program = str(find_server_binary(binary))
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
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
