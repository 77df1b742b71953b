"""Receivers that let deliveries run into their time limit: they must not fill all workers."""

from __future__ import annotations

from dataclasses import dataclass

TIMEOUTS_IN_A_ROW = 3
SILENT_SECONDS = 60.0
HOSTS_MAX = 1_000


@dataclass(slots=True)
class _Silence:
    timeouts: int = 0
    until: float = 0.0


class SilentHosts:
    """Of one process; any number of threads may use it. `now` is of a monotonic clock, seconds.

    A race between two threads only lets one more of them try.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, _Silence] = {}

    def may_try(self, host: str, now: float) -> bool:
        """False while the host is silent; after that, one at a time finds out."""
        silence = self._hosts.get(host)
        if silence is None or silence.timeouts < TIMEOUTS_IN_A_ROW:
            return True
        if now < silence.until:
            return False
        silence.until = now + SILENT_SECONDS
        return True

    def timed_out(self, host: str, now: float) -> None:
        if host not in self._hosts and len(self._hosts) >= HOSTS_MAX:
            self._hosts.clear()  # so many: none of them can fill the workers by itself
        silence = self._hosts.setdefault(host, _Silence())
        silence.timeouts += 1
        silence.until = now + SILENT_SECONDS

    def answered(self, host: str) -> None:
        self._hosts.pop(host, None)
