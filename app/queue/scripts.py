"""Loads the Lua scripts and calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script

from app.queue.connection import unavailable_as_queue_error

_FOLDER = Path(__file__).parent / "lua"

# What every script may use, in this order.
_SHARED = ("_prelude", "_records", "_places", "_leases")
# Redis refuses these when its memory is full. Everything else must go on, or nothing drains.
_GROWING = frozenset({"submit"})
# Reads; a replica, or a server out of disk, may run them.
_READING = frozenset({"page", "entries", "counts", "oldest", "now", "walk", "range", "newest"})
# `turn` is made of the verbs of its steps.
_PARTS = {
    "turn": ("complete", "fail", "release", "claim"),
    "page": ("buckets", "groups", "estimate", "search", "window", "rows"),
    "entries": ("rows",),
    "retry": ("retry_job",),
    "cancel": ("cancel_job",),
    "delete": ("delete_job",),
    "operate": ("buckets", "shares", "next_jobs", "retry_job", "cancel_job", "delete_job"),
    "counts": ("buckets",),
    "oldest": ("buckets",),
    "walk": ("buckets", "rows"),
    "range": ("rows",),
    "newest": ("buckets", "shares"),
}


@cache
def script_source(name: str) -> str:
    """The whole text of one script: the server's flags, what all share, the verb.

    Each file of `lua/` but the shared ones (`_…`) defines one function, named after the file. It
    takes ARGV and returns the answer, unless it is a step of a turn.
    """
    flags = "" if name in _GROWING else "allow-oom"
    if name in _READING:
        flags = f"no-writes,{flags}"
    files = (*_SHARED, *_PARTS.get(name, ()), name)
    texts = [(_FOLDER / f"{file}.lua").read_text(encoding="utf-8") for file in files]
    return "\n".join([f"#!lua flags={flags}", *texts, f"return {name}(ARGV)"])


class Scripts:
    """The scripts on one server, for one key prefix.

    Every script gets the name of `Job_map` as its only declared key: it names the prefix, and on
    a cluster the shard, of all other keys.
    """

    def __init__(
        self, client: redis.Redis, jobs_key: str, source: Callable[[str], str] = script_source
    ) -> None:
        self._client = client
        self._keys = [jobs_key]
        self._source = source
        self._loaded: dict[str, Script] = {}

    def call(self, name: str, *args: Any) -> Any:
        """Runs one script. Raises QueueUnavailable, QueueFull, ServerUnsuitable."""
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._client.register_script(self._source(name))
        with unavailable_as_queue_error():
            return script(keys=self._keys, args=args)
