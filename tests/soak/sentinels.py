"""A master, replicas of it, and three sentinels that replace it when it dies."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from app.embedded import find_server_binary, server_command
from app.queue.connection import connect
from app.supervisor.leash import spawn_server
from tests.start.running import free_port
from tests.workers.processes import wait_until

SENTINELS = 3
QUORUM = 2
MASTER = "mail"


class Watched:
    """Servers by port; the first one begins as master. All on 127.0.0.1."""

    def __init__(self, folder: Path, servers: int, down_after_ms: int) -> None:
        self._folder = folder
        self._binary = find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))
        self._down_after_ms = down_after_ms
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.servers = [free_port() for _ in range(servers)]
        self.sentinels = [free_port() for _ in range(SENTINELS)]

    @property
    def addresses(self) -> str:
        """As REDIS_SENTINELS has it."""
        return ",".join(f"127.0.0.1:{port}" for port in self.sentinels)

    @property
    def url(self) -> str:
        """For `connect`."""
        return f"sentinel://{self.addresses}/{MASTER}"

    def start(self) -> None:
        """Returns when the sentinels know each other and all servers, and these are in step."""
        first, *others = self.servers
        self._start_server(first)
        for port in others:
            self._start_server(port, "--replicaof", f"127.0.0.1 {first}")
        for port in self.sentinels:
            self._start_sentinel(port, first)
        self.wait_until_whole()

    def master(self) -> int:
        """The port that a majority of the sentinels names; 0 when they don't agree."""
        named = [self._named_by(port) for port in self.sentinels]
        return next((port for port in named if port and named.count(port) >= QUORUM), 0)

    def kill_master(self) -> int:
        """`kill -9`; the port."""
        port = self.master()
        self._processes[port].kill()
        self._processes[port].wait(timeout=20)
        return port

    def wait_for_promotion(self, dead: int) -> int:
        """The new master's port, as soon as that server takes itself for it."""
        alive = [port for port in self.servers if port != dead]
        return int(wait_until(lambda: next(filter(self._is_master, alive), 0), "a promotion"))

    def restart(self, port: int) -> None:
        """The dead server again, as a replica of whoever is master, once it has caught up."""
        wait_until(lambda: self.master() not in (0, port), "the sentinels name another")
        self._start_server(port, "--replicaof", f"127.0.0.1 {self.master()}")
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        wait_until(self._is_whole, "the sentinels see all, and the replicas are in step")

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(timeout=20)

    def _is_whole(self) -> bool:
        others = {"num-other-sentinels": SENTINELS - 1, "num-slaves": len(self.servers) - 1}
        for port in self.sentinels:
            with _client(port) as client, contextlib.suppress(redis.RedisError):
                found = client.sentinel_masters()[MASTER]
                seen = {name: found[name] for name in others}
                replicas = client.sentinel_slaves(MASTER)
                links = [one["flags"] == "slave" for one in replicas]
                if seen == others and all(links) and found["flags"] == "master":
                    continue
            return False
        with _client(self.master()) as client, contextlib.suppress(redis.RedisError):
            client.set("in step", 1)
            return int(client.wait(len(self.servers) - 1, 500)) == len(self.servers) - 1
        return False

    def _is_master(self, port: int) -> bool:
        with _client(port) as client, contextlib.suppress(redis.RedisError):
            return bool(client.role()[0] == "master")
        return False

    def _named_by(self, sentinel: int) -> int:
        with _client(sentinel) as client, contextlib.suppress(redis.RedisError):
            found = client.sentinel_get_master_addr_by_name(MASTER)
            return int(found[1]) if found else 0
        return 0

    def _start_server(self, port: int, *options: str) -> None:
        folder = self._folder / f"server-{port}"
        folder.mkdir(exist_ok=True)
        command = server_command(self._binary, folder, folder / "redis.sock")
        own = ("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
        self._processes[port] = spawn_server([*command, *own, *options])
        wait_until(lambda: self._answers(port), "the server answers")

    def _start_sentinel(self, port: int, master: int) -> None:
        folder = self._folder / f"sentinel-{port}"
        folder.mkdir()
        file = folder / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile sentinel.log\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master} {QUORUM}\n"
            f"sentinel down-after-milliseconds {MASTER} {self._down_after_ms}\n"
            f"sentinel failover-timeout {MASTER} {4 * self._down_after_ms}\n"
        )
        self._processes[port] = spawn_server([str(self._binary), str(file), "--sentinel"])
        wait_until(lambda: self._answers(port), "the sentinel answers")

    def _answers(self, port: int) -> bool:
        with _client(port) as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False


@contextmanager
def watched_servers(folder: Path, *, servers: int = 2, down_after_ms: int) -> Iterator[Watched]:
    watched = Watched(folder, servers, down_after_ms)
    try:
        watched.start()
        yield watched
    finally:
        watched.end()


@contextmanager
def _client(port: int) -> Iterator[redis.Redis]:
    client = connect(
        f"redis://127.0.0.1:{port}/0", name="soak", timeout_seconds=2, connect_timeout_seconds=1
    )
    try:
        yield client
    finally:
        client.close()
