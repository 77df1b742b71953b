"""Who a worker is, and what it says of itself to people."""

from __future__ import annotations

import os
import secrets
import socket
import time

from app.queue.server_clock import ServerClock
from app.queue.sharded_jobqueue import ShardedJobQueue

VERSION = "0.1.0"


def new_name() -> str:
    """Of a worker: never the same twice."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(2)}"


class Presence:
    """What a worker of this role (main or retry), which starts now, says with each heartbeat."""

    def __init__(self, role: str, queue: ShardedJobQueue, clock: ServerClock) -> None:
        self._role = role
        self._queue = queue
        self._clock = clock
        self._started = time.monotonic()

    def facts(self) -> dict[str, object]:
        """Raises QueueUnavailable."""
        self._clock.now()  # or what follows would be this machine's time
        return {
            "role": self._role,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": VERSION,
            "heartbeat_seconds": self._queue.lease_ms / 4000,
            "started_at": self._clock.moment(self._started),
        }
