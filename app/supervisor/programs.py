"""Which programs make up the system."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.config import Config
from app.embedded import find_server_binary, is_ready, prepare_server_folders, server_command
from app.supervisor.checks import StartFailed, answers_http, check_port, try_lock
from app.supervisor.child import Program


@dataclass(frozen=True, slots=True)
class System:
    """What the supervisor runs: the server first and last, between them the workers and the API.

    `is_server_ready` and `is_api_ready` are asked again and again during the start.
    """

    server: Program | None
    workers: list[Program]
    api: Program
    is_server_ready: Callable[[], bool]
    is_api_ready: Callable[[], bool]
    drain_seconds: float
    # Held open, never used: the process that runs the server watches their other end.
    held_fds: tuple[int, ...] = ()


def build_system(config: Config, pause: Callable[[float], None]) -> System:
    """The system as `config` wants it. Locks DATA_DIR for this copy when it has a server in it.

    `pause` sleeps; it is called while a copy that was killed is still finishing.
    Raises StartFailed, ServerNotFound, ConfigError, OSError.
    """
    server: Program | None = None
    clients_fds: tuple[int, ...] = ()
    held_fds: tuple[int, ...] = ()
    if config.uses_embedded_redis:
        lock_fds = lock_data_dir(config, pause)
        leash_read_fd, leash_write_fd = os.pipe()
        server = _server_program(config, leash_read_fd, lock_fds[1])
        clients_fds = (leash_write_fd,)
        held_fds = (*lock_fds, leash_read_fd, leash_write_fd)
    # After the lock: a copy that was killed may have had this port a moment ago.
    check_port(config.host, config.port)
    # The retry worker first: without one, a main worker says that it does its work.
    workers = [_python("retry worker", "workers.retry_worker", clients_fds)]
    workers += [
        _python(f"main worker {number}", "workers.main_worker", clients_fds)
        for number in range(1, config.worker_processes + 1)
    ]
    return System(
        server=server,
        workers=workers,
        api=_python("API", "gunicorn", clients_fds, "wsgi:app"),
        is_server_ready=lambda: is_ready(config.server_url),
        is_api_ready=lambda: answers_http(config.host, config.port),
        drain_seconds=config.shutdown_seconds + 5,
        held_fds=held_fds,
    )


def lock_data_dir(config: Config, pause: Callable[[float], None]) -> tuple[int, int]:
    """Two locks: one of this process alone, one that the embedded server holds as well.

    Where the first is free and the second is not, a copy was killed and its workers still settle
    their jobs; it is waited for. Raises StartFailed.
    """
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    ours = try_lock(config.data_dir / "mailroom.lock")
    if ours is None:
        raise StartFailed(
            f"DATA_DIR: {config.data_dir} is in use by another copy. "
            "Stop that one, or set DATA_DIR to a folder of its own (and PORT to a free port)."
        )
    tries = int((config.shutdown_seconds + 10) / 0.1)
    for _ in range(tries):
        servers = try_lock(config.data_dir / "redis.lock")
        if servers is not None:
            return ours, servers
        pause(0.1)
    raise StartFailed(f"DATA_DIR: the server of a killed copy still runs in {config.data_dir}.")


def server_folder(config: Config) -> Path:
    return config.data_dir / "redis"


def _server_program(config: Config, leash_fd: int, lock_fd: int) -> Program:
    folder, socket = server_folder(config), config.embedded_socket
    prepare_server_folders(folder, socket)
    command = server_command(find_server_binary(config.redis_server_bin), folder, socket)
    return _python(
        "embedded server",
        "app.supervisor.leash",
        (leash_fd, lock_fd),
        str(leash_fd),
        str(lock_fd),
        str(folder.resolve()),
        *command,
        signal_at_parent_death=None,
    )


def _python(
    name: str,
    module: str,
    pass_fds: tuple[int, ...],
    *arguments: str,
    signal_at_parent_death: str | None = "SIGTERM",
) -> Program:
    command = [sys.executable, "-m", module, *arguments]
    return Program(name, command, pass_fds, signal_at_parent_death)
