"""A real cluster: masters that share the slots, a replica for some, all embedded servers."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from app.embedded import find_server_binary, server_command
from app.queue.connection import connect
from app.supervisor.leash import spawn_server
from tests.start.running import free_port
from tests.workers.processes import wait_until

SLOTS = 16384
# A dead master is replaced after that long, and a little. A machine that stalls for less makes
# nobody take a living one for dead.
NODE_TIMEOUT_MS = 2500


class Cluster:
    """Servers by port, all on 127.0.0.1. `masters[i]` begins with the slots of share `i`;
    `with_replica` names that share once for each replica it has."""

    def __init__(self, folder: Path, masters: int, with_replica: Sequence[int]) -> None:
        self._folder = folder
        self._binary = find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._buses: dict[int, int] = {}
        self.masters = [free_port() for _ in range(masters)]
        self._replicas = [(at, free_port()) for at in with_replica]

    @property
    def url(self) -> str:
        """For `connect`: it names the first two nodes, the others are found."""
        return "cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.masters[:2])

    @property
    def ports(self) -> list[int]:
        return [*self.masters, *(port for _, port in self._replicas)]

    def ports_of(self, at: int) -> list[int]:
        """Of the servers of one share, whichever is its master now."""
        return [self.masters[at], *(port for share, port in self._replicas if share == at)]

    def start(self) -> None:
        """Returns when all know each other, all slots are served and the replicas are in step."""
        for port in self.ports:
            self._start_server(port)
        # Else two may have the same epoch, and would first have to agree on another.
        for at, port in enumerate(self.masters):
            self.command(port, "CLUSTER SET-CONFIG-EPOCH", at + 1)
        first, *others = self.ports
        for port in others:
            meet = ("CLUSTER MEET", "127.0.0.1", first, self._buses[first])
            self.command(port, *meet)
        for at, port in enumerate(self.masters):
            low, high = at * SLOTS // len(self.masters), (at + 1) * SLOTS // len(self.masters) - 1
            self.command(port, "CLUSTER ADDSLOTSRANGE", low, high)
        wait_until(self._is_whole, "all nodes know all slots")
        for at, port in self._replicas:
            self.command(port, "CLUSTER REPLICATE", self.command(self.masters[at], "CLUSTER MYID"))
        self.wait_until_in_step()

    def wait_until_in_step(self) -> None:
        """All replicas have what their masters have."""
        # Who is whose replica may have changed since the beginning.
        in_step = len(self._replicas)
        wait_until(lambda: sum(map(self._in_step, self.ports)) == in_step, "replicas in step")
        wait_until(lambda: all(map(self._knows_replicas, self.ports)), "all know the replicas")

    def kill(self, port: int) -> None:
        """`kill -9`."""
        self._processes[port].kill()
        self._processes[port].wait(timeout=20)

    def restart(self, port: int) -> None:
        """With its data and what it knew of the cluster."""
        self._start_server(port)

    def is_master(self, port: int) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.command(port, "ROLE")[0] == "master")
        return False

    def command(self, port: int, *words: Any) -> Any:
        with self.client(port) as client:
            return client.execute_command(*words)

    def info(self, port: int, section: str) -> dict[str, Any]:
        """What the server tells of itself."""
        found: dict[str, Any] = self.command(port, "INFO", section)
        return found

    def pid(self, port: int) -> int:
        return self._processes[port].pid

    def client(self, port: int) -> redis.Redis:
        return connect(f"redis://127.0.0.1:{port}", name="cluster-test", timeout_seconds=5)

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(timeout=20)

    def _is_whole(self) -> bool:
        # Each node speaks for itself: one that has not heard of all redirects or refuses.
        return all("cluster_state:ok" in self._info(p) for p in self.ports) and all(
            f"cluster_known_nodes:{len(self.ports)}" in self._info(port) for port in self.ports
        )

    def _info(self, port: int) -> str:
        # Not the client's parsed answer: the lines are easier to compare.
        with redis.Redis(port=port, decode_responses=True) as client:
            client.set_response_callback("CLUSTER INFO", str)
            return str(client.execute_command("CLUSTER INFO"))

    def _knows_replicas(self, port: int) -> bool:
        ranges = self.command(port, "CLUSTER SLOTS")
        return sum(len(found) - 3 for found in ranges) == len(self._replicas)

    def _in_step(self, port: int) -> bool:
        role = self.command(port, "ROLE")
        return role[0] == "slave" and role[3] == "connected"

    def _start_server(self, port: int) -> None:
        folder = self._folder / f"node-{port}"
        folder.mkdir(exist_ok=True)
        bus = self._buses.setdefault(port, free_port())
        own = {
            "port": str(port),
            "bind": "127.0.0.1",
            "cluster-enabled": "yes",
            "cluster-port": str(bus),
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "repl-diskless-sync-delay": "0",
        }
        command = server_command(self._binary, folder, folder / "redis.sock")
        options = [part for name, value in own.items() for part in (f"--{name}", value)]
        self._processes[port] = spawn_server([*command, *options])
        wait_until(lambda: self._answers(port), "the server answers")

    def _answers(self, port: int) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.command(port, "PING"))
        return False


@contextmanager
def running_cluster(
    folder: Path, masters: int = 3, with_replica: Sequence[int] = ()
) -> Iterator[Cluster]:
    """A cluster that is gone at the end."""
    cluster = Cluster(folder, masters, with_replica)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
