"""The longest command of a call by the server's own clock, and what that clock is worth here.

On a shared machine the server is often stopped in the middle of a command, and its clock goes on.
Two figures tell that from work: the processor time of the server's thread over the whole call, and
how long a script of always the same work takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from app.queue.scripts import script_source

# Commands of a script are logged too, which would make a script of hundreds of them slower.
LOGGED_US = 100
_SCRIPTS = ("page", "entries", "counts", "newest")
# No memory to wait for, no other command.
_SAME_WORK = "local x = 0 for i = 1, tonumber(ARGV[1]) do x = x + i end return x"
SAME_WORK_MS = 1.0


@dataclass(frozen=True)
class Longest:
    """`ms` is 0 when no command took `LOGGED_US`; `cpu_ms` is of all commands of the call."""

    ms: float
    command: str
    cpu_ms: float


class Watch:
    """Watches one server that nobody else uses meanwhile."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._names = {
            hashlib.sha1(script_source(name).encode()).hexdigest(): name for name in _SCRIPTS
        }
        self._same_work = client.register_script(_SAME_WORK)
        self._rounds = 100_000
        client.config_set("slowlog-log-slower-than", LOGGED_US)
        client.config_set("slowlog-max-len", 200)
        took = min(self.same_work() for _ in range(200))
        self._rounds = int(self._rounds * SAME_WORK_MS / took)

    def over(self, call: Callable[[], None]) -> Longest:
        self._client.slowlog_reset()
        before = self._cpu_ms()
        call()
        cpu_ms = self._cpu_ms() - before
        entries = self._client.slowlog_get(200)
        if not entries:
            return Longest(0.0, "none", cpu_ms)
        longest = max(entries, key=lambda entry: entry["duration"])
        return Longest(longest["duration"] / 1000, self._described(longest["command"]), cpu_ms)

    def same_work(self) -> float:
        """Milliseconds for what takes `SAME_WORK_MS` when nothing disturbs."""
        self._client.slowlog_reset()
        self._same_work(args=[self._rounds])
        durations = [entry["duration"] for entry in self._client.slowlog_get(10)]
        return max(durations, default=LOGGED_US) / 1000

    def _cpu_ms(self) -> float:
        found = self._client.info("cpu")
        names = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
        return 1000 * sum(float(found[name]) for name in names)

    def _described(self, command: str | bytes) -> str:
        text = command.decode(errors="replace") if isinstance(command, bytes) else command
        words = text.split(" ")
        if words[0].upper() in ("EVALSHA", "EVAL", "EVALSHA_RO"):
            return self._names.get(words[1], "a script")
        return " ".join(words[:2])
