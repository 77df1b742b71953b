"""The one place that makes Redis clients, and that knows which of their errors mean "away"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.queue.cluster import client_of_slot, is_cluster_url
from app.queue.errors import QueueFull, QueueUnavailable, ServerUnsuitable
from app.queue.sentinels import client_by_sentinels, is_sentinel_url

MINIMUM_VERSION = (7, 0)

# Answers of a server that lives but can't serve now; redis-py has classes for some of them.
# Everything else is a fault of ours.
_AWAY_CLASSES = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.AskError,  # the slot is being moved, key by key
    redis.exceptions.NoScriptError,
)
_AWAY_CODES = re.compile(
    r"(UNBLOCKED|MISCONF|BUSY|NOREPLICAS)\b"
    r"|.*Script attempted to access a non local key"  # as well
)
# What a node of a cluster says to a client that is not one of a slot (`cluster.py`): such a one
# follows where a slot moved, and all its keys are in one.
_CLUSTER_CODES = re.compile(r"SELECT is not allowed in cluster mode|.*hash to the same slot")
_LOGIN_CODES = re.compile(r"(NOAUTH|WRONGPASS|NOPERM)\b")


def connect(
    url: str,
    *,
    name: str,
    timeout_seconds: float = 5.0,
    connect_timeout_seconds: float = 2.0,
    max_connections: int | None = None,
    resend: bool = True,
    slot_key: str = "",
    text_errors: str = "replace",
) -> redis.Redis:
    """A client for `redis://`, `rediss://`, `unix://`, `sentinel://` and `sentinels://` (see
    `app/queue/sentinels.py`), or `cluster://` and `clusters://` (`app/queue/cluster.py`): then it
    is for the keys in the slot of `slot_key` alone. Replies are text. Connects on first use.

    `name` shows in `CLIENT LIST`. A command that found its connection cut is sent once more at
    once (every script bears that), one that timed out is not, so a call fails within about
    `connect_timeout_seconds` + `timeout_seconds`. `resend=False` is for blocking commands;
    `text_errors` says how bytes that are no UTF-8 are read, in the words of `bytes.decode`.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 1 if resend else 0, (ConnectionError, redis.ConnectionError)),
        "health_check_interval": 0 if not resend else 30,
        "client_name": name,
        "decode_responses": True,
        # Only scripts write back what they read, so a lossy read can't damage anything.
        "encoding_errors": text_errors,
        "max_connections": max_connections,
    }
    if not url.startswith("unix:"):
        options["socket_connect_timeout"] = connect_timeout_seconds
        options["socket_keepalive"] = True
    if is_sentinel_url(url):
        return client_by_sentinels(url, options)
    if is_cluster_url(url):
        return client_of_slot(url, slot_key, options)
    return redis.Redis.from_url(url, **options)


@contextmanager
def unavailable_as_queue_error() -> Iterator[None]:
    """Turns redis-py's errors for "away", "full" and "unsuitable" into the queue's own."""
    try:
        yield
    except redis.AuthenticationError as error:
        raise ServerUnsuitable(f"Redis refuses the login: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise QueueUnavailable(f"Redis is away: {error}") from error
    except redis.OutOfMemoryError as error:
        raise QueueFull("Redis has no memory left for new jobs.") from error
    except redis.ResponseError as error:
        text = str(error)
        if isinstance(error, redis.exceptions.MovedError) or _CLUSTER_CODES.match(text):
            raise ServerUnsuitable(
                "The server is a node of a cluster, and has only some of the keys. Name the "
                "cluster: with REDIS_CLUSTER, or to `flask queue copy` as cluster://host:port."
            ) from error
        if text == "DB index is out of range":
            raise ServerUnsuitable(
                "Redis has no database of the number that its URL ends with. It has 0 to 15, "
                "unless its configuration says otherwise (databases)."
            ) from error
        if isinstance(error, _AWAY_CLASSES) or _AWAY_CODES.match(text):
            raise QueueUnavailable(f"Redis can't serve now: {text}") from error
        if text.startswith("OOM"):
            raise QueueFull("Redis has no memory left for new jobs.") from error
        if isinstance(error, redis.exceptions.NoPermissionError) or _LOGIN_CODES.match(text):
            raise ServerUnsuitable(f"Redis refuses the login: {text}") from error
        raise
