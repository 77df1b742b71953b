"""A server that can be killed, frozen and started again on the same data."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from app.embedded import find_server_binary, is_ready, server_command, socket_url
from app.queue.errors import ServerUnsuitable
from app.supervisor.leash import spawn_server
from tests.workers.processes import wait_until


class OwnServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return socket_url(self._socket)

    def start(self, *options: str) -> None:
        """Returns when it answers. `options` are more of the server's command line."""
        binary = find_server_binary(os.environ.get("REDIS_SERVER_BIN", ""))
        command = server_command(binary, self._folder, self._socket)
        self._process = spawn_server([*command, *options])
        wait_until(self._answers, "the server answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=20)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return is_ready(self.url)
        except ServerUnsuitable:  # it wants a password
            return True
