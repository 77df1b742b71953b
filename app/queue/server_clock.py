"""The time as the Redis server has it, on a machine whose own clock may be wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

ASK_EVERY_SECONDS = 60.0


class ServerClock:
    """Seconds since the epoch, by the server's clock.

    All times of jobs are the server's, so what is compared with them must be, too. `ask` gives the
    server's time. Any number of threads may use it.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        own: Callable[[], float] = time.time,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._own = own
        self._ahead: float | None = None  # how far the server's time is before `monotonic`
        self._ask_at = 0.0

    def now(self) -> float:
        """Asks the server once a minute. Raises what `ask` raises."""
        if self._ahead is None or self._monotonic() >= self._ask_at:
            self._ahead = self._ask() - self._monotonic()
            self._ask_at = self._monotonic() + ASK_EVERY_SECONDS
        return self._ahead + self._monotonic()

    def last_known(self) -> float:
        """The same for those who must not wait for the server: asks and raises nothing. Until the
        server has been asked, it is this machine's time."""
        return self._own() if self._ahead is None else self._ahead + self._monotonic()

    def moment(self, monotonic: float) -> float:
        """When the monotonic clock stood there, as far as is known."""
        return self.last_known() - (self._monotonic() - monotonic)
