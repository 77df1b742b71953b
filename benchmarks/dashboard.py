"""How long the dashboard's table takes: every sort × direction × filter × first, middle, last page.

    python -m benchmarks.dashboard                    # 10,000 and 1,000,000 jobs, and their ratio
    python -m benchmarks.dashboard --jobs 100000 --sample 500
    python -m benchmarks.dashboard --repeats 3 --check 200   # on a busy machine; are they right?

Fills a server of its own through the queue's scripts, then asks the real application for
`/dashboard/partials/jobs-table`. "partial" is the time of the whole request, "page" that of
`Inspector.page` alone, "command" the longest one by the server's own clock, "work" the processor
time of the whole request, application and server: what it takes where nothing else runs. Each query
counts with the best of its repeats.
"""

from __future__ import annotations

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.dashboard.query import address
from app.embedded import find_server_binary
from app.queue.inspector import LOOK_USUALLY, SORTS, Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from benchmarks.brute_force import is_equal, read_all
from benchmarks.fill import JOB_TYPES, TAGS, fill
from benchmarks.longest import Watch
from benchmarks.memory import used
from benchmarks.servers import PAYLOAD
from benchmarks.timings import (
    Timing,
    best_of,
    described,
    report,
    report_disturbance,
    report_ratio,
)

PARTIAL = "/dashboard/partials/jobs-table"
SEARCHES = ("user77@host77.example", "@host7.example", "your invoice 12", "#vip")


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
                f"filled in {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            found[jobs] = measure(client, arguments)
    if len(found) > 1:
        report_ratio(found[min(found)], found[max(found)])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--look", type=int, default=LOOK_USUALLY, help="candidates of a search")
    parser.add_argument("--sample", type=int, default=0, help="so many pages only; 0: all")
    parser.add_argument("--repeats", type=int, default=1, help="takes the best, on a busy machine")
    parser.add_argument("--check", type=int, default=0, help="compare so many with brute force")
    parser.add_argument("--server", default="", help="the server's binary")
    return parser.parse_args()


def measure(client: redis.Redis, arguments: argparse.Namespace) -> list[Timing]:
    inspector = Inspector(client)
    http = create_app(Config.load(env_file=None), client=client).test_client()
    chosen = list(queries(inspector, arguments.limit, arguments.look))
    every = chosen
    if arguments.sample:
        chosen = random.Random(1).sample(chosen, min(arguments.sample, len(chosen)))
    watch = Watch(client)
    measure_once(watch, inspector, http, chosen[0])  # templates are compiled, scripts loaded
    same_work: list[float] = []
    rounds: list[list[Timing]] = []
    for _ in range(arguments.repeats):
        # Round after round: what disturbs lasts for longer than one query.
        rounds.append([measure_once(watch, inspector, http, query) for query in chosen])
        same_work += [watch.same_work() for _ in chosen]
    timings = [best_of(repeats) for repeats in zip(*rounds, strict=True)]
    report(timings)
    report_disturbance(timings, same_work)
    if arguments.check:
        check(client, inspector, random.Random(2).sample(every, min(arguments.check, len(every))))
    return timings


def queries(inspector: Inspector, limit: int, look: int) -> Iterator[JobQuery]:
    for query in filters(limit):
        last = max(1, -(-inspector.page(replace(query, look=look)).total // limit))
        for sort, descending in itertools.product(SORTS, (True, False)):
            for page in sorted({1, last // 2 + 1, last}):
                yield replace(query, sort=sort, descending=descending, page=page, look=look)


def filters(limit: int) -> Iterator[JobQuery]:
    combined = itertools.product((None, *Status), (None, *JOB_TYPES), (None, *Priority))
    for status, job_type, priority in combined:
        yield JobQuery(status=status, job_type=job_type, priority=priority, limit=limit)
    for status in (None, Status.SUCCESS, Status.PERMANENTLY_FAILED):
        for tag in TAGS:
            yield JobQuery(status=status, tag=tag, limit=limit)
        for q in SEARCHES:
            yield JobQuery(status=status, q=q, limit=limit)


def measure_once(watch: Watch, inspector: Inspector, http: FlaskClient, query: JobQuery) -> Timing:
    page_ms = timed(lambda: inspector.page(query))
    asked, partial_ms, work_ms = address(query, page=query.page), 0.0, 0.0

    def ask() -> None:
        nonlocal partial_ms, work_ms
        began = time.process_time()
        partial_ms = timed(lambda: checked(http.get(PARTIAL, query_string=asked)))
        work_ms = (time.process_time() - began) * 1000

    longest = watch.over(ask)
    return Timing(
        query,
        partial_ms,
        page_ms,
        longest.ms,
        longest.command,
        work_ms + longest.cpu_ms,
        longest.ms,
    )


def check(client: redis.Redis, inspector: Inspector, chosen: list[JobQuery]) -> None:
    rows = read_all(client)
    wrong = [query for query in chosen if not is_equal(rows, inspector, query)]
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} pages equal those made by brute force")
    for query in wrong:
        print(f"  not equal: {described(query)}")


def timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def checked(response: Any) -> None:
    assert response.status_code == 200, response.status


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
