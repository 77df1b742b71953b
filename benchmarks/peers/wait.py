"""Wait: from submission to start on an idle system; what an idle worker costs meanwhile."""

from __future__ import annotations

import threading
import time

from benchmarks.peers.arena import Arena, arena, settle
from benchmarks.peers.plan import Plan
from benchmarks.peers.processes import cpu_seconds, rss_mb
from benchmarks.peers.results import Results
from benchmarks.servers import open_client

PART = "wait"
JOBS, EVERY_MS = 500, 10
IDLE_SECONDS = 8.0
COME_TO_REST_SECONDS = 2.0
LAST_WORD = "no more is counted"
P50, P99 = "submission to start, p50", "submission to start, p99"
COMMANDS, CPU, RSS = (
    "commands of an idle worker",
    "CPU of an idle worker",
    "memory of an idle worker",
)


def measure(plan: Plan, results: Results) -> None:
    for peer in plan.peers:
        with arena(peer) as one, one.workers(1, 16) as [pid]:
            one.open_gate()
            settle(COME_TO_REST_SECONDS)
            _idle(one, pid, plan.seconds(IDLE_SECONDS), results)
            jobs = plan.jobs(JOBS)
            one.pace(jobs, EVERY_MS)
            waits = sorted(began - at for at, began in one.wait_for_marks(jobs))
            for case, share in ((P50, 0.5), (P99, 0.99)):
                results.note(PART, case, peer.name, "ms", waits[int(share * len(waits))] * 1000)


def _idle(one: Arena, pid: int, seconds: float, results: Results) -> None:
    cpu = cpu_seconds(pid)
    with Commands(one.url) as commands:
        time.sleep(seconds)
    used = cpu_seconds(pid) - cpu
    name = one.peer.name
    results.note(PART, COMMANDS, name, "commands/s", commands.count / seconds)
    results.note(PART, CPU, name, "%", used / seconds * 100)
    results.note(PART, RSS, name, "MB", rss_mb(pid))


class Commands:
    """Counts what clients send meanwhile; what their scripts do is not asked of the network."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._client = open_client(url)
        self._monitor = self._client.monitor()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Commands:
        self._client.ping()  # what connecting sends is not counted
        self._monitor.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.echo(LAST_WORD)
        self._thread.join(timeout=10)
        self._monitor.connection.disconnect()

    def _listen(self) -> None:
        for heard in self._monitor.listen():
            if LAST_WORD in heard["command"]:
                return
            self.count += heard["client_type"] != "lua"
