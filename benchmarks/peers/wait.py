"""Wait: from submission to start on an idle system; what an idle worker costs meanwhile."""

from __future__ import annotations

import threading
import time

from app.queue.jobqueue import JobQueue
from benchmarks.peers.arena import OURS, Arena, arena, settle
from benchmarks.peers.plan import Plan
from benchmarks.peers.processes import cpu_seconds, rss_mb
from benchmarks.peers.results import Results
from benchmarks.servers import open_client, worker

PART = "wait"
JOBS, EVERY_MS = 500, 10
# Twice as long as ours blocks, once from one heartbeat to the next.
IDLE_SECONDS = 16.0
COME_TO_REST_SECONDS = 2.0
PROMOTE_EVERY_SECONDS = 5.0
LAST_WORD = "no more is counted"
P50, P99 = "submission to start, p50", "submission to start, p99"
COMMANDS, OF_RETRY_WORKER, CPU, RSS = (
    "commands of an idle worker",
    "commands of its retry worker",
    "CPU of an idle worker",
    "memory of an idle worker",
)


def measure(plan: Plan, results: Results) -> None:
    seconds = plan.seconds(IDLE_SECONDS)
    for peer in plan.peers:
        with arena(peer) as one, one.workers(1, 16) as [pid]:
            one.open_gate()
            settle(COME_TO_REST_SECONDS)  # what starting costs is not asked
            cpu = cpu_seconds(pid)
            sent = _commands_while_idle(one, seconds)
            used = cpu_seconds(pid) - cpu
            results.note(PART, COMMANDS, peer.name, "commands/s", sent / seconds)
            # A child that ended meanwhile takes with it what it had used.
            results.note(PART, CPU, peer.name, "%", max(0.0, used / seconds * 100))
            results.note(PART, RSS, peer.name, "MB", rss_mb(pid))
            jobs = plan.jobs(JOBS)
            one.pace(jobs, EVERY_MS)
            waits = sorted(began - at for at, began in one.wait_for_marks(jobs))
            for case, share in ((P50, 0.5), (P99, 0.99)):
                results.note(PART, case, peer.name, "ms", waits[int(share * len(waits))] * 1000)
    with (
        arena(OURS) as one,
        worker(one.url, "workers.retry_worker", DATA_DIR=str(one.folder)),
    ):
        settle(COME_TO_REST_SECONDS)
        with Commands(one.url) as commands:
            time.sleep(seconds)
        results.note(PART, OF_RETRY_WORKER, OURS.name, "commands/s", commands.count / seconds)


def _commands_while_idle(one: Arena, seconds: float) -> int:
    """Where nobody promotes, a main worker of ours does a retry worker's work too; in its place we
    do, and don't count that."""
    if one.peer is not OURS:
        with Commands(one.url) as commands:
            time.sleep(seconds)
        return commands.count
    queue, ends, ours = JobQueue(one.client), time.monotonic() + seconds, 0
    queue.promote()  # the first call sends the script, too
    with Commands(one.url) as commands:
        while (left := ends - time.monotonic()) > 0:
            queue.promote()
            ours += 1
            time.sleep(min(left, PROMOTE_EVERY_SECONDS))
    return commands.count - ours


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
