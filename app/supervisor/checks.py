"""What is looked at before and while the system starts: the port, the lock, the server."""

from __future__ import annotations

import errno
import fcntl
import http.client
import os
import re
import socket
from pathlib import Path
from typing import Any

import redis

from app.queue.connection import MINIMUM_VERSION, unavailable_as_queue_error
from app.queue.errors import ServerUnsuitable


class StartFailed(Exception):
    """The system can't start. The message is for the person who started it."""


def check_port(host: str, port: int) -> None:
    """Raises StartFailed when the API could not listen there.

    gunicorn's own attempt comes too late and says too little; and because it asks for
    SO_REUSEPORT, it would quietly share the port with another copy. This one doesn't.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartFailed(f"HOST: {host} is no address of this machine ({error}).") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartFailed(f"HOST: {host} is no address of this machine.") from None
            raise StartFailed(
                f"PORT: {port} on {host} can't be used ({os.strerror(error.errno or 0)}). "
                "Stop what listens there, or set PORT to a free one."
            ) from None


def try_lock(path: Path) -> int | None:
    """Locks a file for as long as a process has the returned descriptor; None if it is locked."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def answers_http(host: str, port: int) -> bool:
    """True when `GET /healthz` answers 200."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable_host(host: str) -> str:
    """The address to use on this machine for something that listens on `host`; no brackets."""
    bare = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare)


def check_server(client: redis.Redis) -> tuple[str, list[str]]:
    """The server's name and version, and a warning for each setting that can lose jobs.

    Raises ServerUnsuitable (too old, wrong password), QueueUnavailable.
    """
    with unavailable_as_queue_error():
        facts: dict[str, Any] = client.info()
    return judge_server(facts)


def judge_server(facts: dict[str, Any]) -> tuple[str, list[str]]:
    """The same from the answer to INFO. Raises ServerUnsuitable."""
    is_valkey = "valkey_version" in facts
    version = str(facts["valkey_version"] if is_valkey else facts["redis_version"])
    name = f"{'Valkey' if is_valkey else 'Redis'} {version}"
    if _numbers(version) < MINIMUM_VERSION:
        raise ServerUnsuitable(
            f"{name} is too old: Redis {'.'.join(map(str, MINIMUM_VERSION))} or Valkey is needed."
        )
    return name, _warnings(facts)


def _warnings(facts: dict[str, Any]) -> list[str]:
    warnings = []
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        warnings.append(
            f"Redis may throw jobs away when its memory is full (maxmemory-policy is {policy}). "
            "Set it to noeviction."
        )
    if not facts.get("aof_enabled", 1):
        warnings.append("Redis loses jobs when it crashes (appendonly is no). Set it to yes.")
    return warnings


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
