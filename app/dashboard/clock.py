"""What time it is, for ages and distances on pages."""

from __future__ import annotations

from flask import current_app

from app.queue.server_clock import ServerClock


def now() -> float:
    """Seconds since the epoch by the Redis server's clock, as all times of jobs are.

    Raises QueueUnavailable.
    """
    return _clock().now()


def last_known() -> float:
    """The same, without asking the server: for the page that says that it is away."""
    return _clock().last_known()


def _clock() -> ServerClock:
    found: ServerClock = current_app.extensions["clock"]
    return found
