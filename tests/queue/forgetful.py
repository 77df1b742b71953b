"""A server that forgets its scripts again and again, as one does that is flushed or failed over."""

from __future__ import annotations

from typing import Any

import redis

from app.queue.connection import connect


def connect_forgetful(url: str, **options: Any) -> redis.Redis:
    """A client before each of whose packets the server at `url`, a socket, forgets all scripts."""
    other = connect(url, name="forgets")

    class Connection(redis.UnixDomainSocketConnection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            other.script_flush()
            super().send_packed_command(command, check_health)

    client = connect(url, name="tests", **options)
    client.connection_pool.connection_class = Connection
    return client
