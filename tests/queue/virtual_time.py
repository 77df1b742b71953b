"""Scripts whose time is a key in Redis, so that a test decides how late it is."""

from __future__ import annotations

from collections.abc import Callable

import fakeredis
import redis

from app.queue.scripts import script_source

NOW_KEY = "test:now"
STARTED_MS = 1_750_000_000_000

_REAL = 'local time = redis.call("TIME")'
_VIRTUAL = (
    f'local at = tonumber(redis.call("GET", "{NOW_KEY}"))\n'
    "  local time = { math.floor(at / 1000), at % 1000 * 1000 }"
)


def virtual_source(client: redis.Redis) -> Callable[[str], str]:
    """`script_source` for this server, with the time taken from `NOW_KEY`."""
    is_fake = isinstance(client, fakeredis.FakeRedis)

    def source(name: str) -> str:
        text = script_source(name)
        if _REAL in text:
            text = replace_once(text, _REAL, _VIRTUAL)
        # fakeredis does not know the line with the server's flags.
        return text.partition("\n")[2] if is_fake else text

    return source


def replace_once(text: str, old: str, new: str) -> str:
    """`text` with `old`, which must be there exactly once, replaced."""
    found = text.count(old)
    assert found == 1, f"{old!r} is in the script {found} times, not once"
    return text.replace(old, new)


class Clock:
    """The time of the scripts. It stands still between calls of `advance`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.now_ms = STARTED_MS
        client.set(NOW_KEY, self.now_ms)

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.now_ms / 1000

    def advance(self, *, seconds: float = 0, ms: int = 0) -> None:
        """Moves the time, backwards too."""
        self.now_ms += round(seconds * 1000) + ms
        self._client.set(NOW_KEY, self.now_ms)
