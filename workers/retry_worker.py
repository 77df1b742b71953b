"""`python -m workers.retry_worker`: promotes due jobs, reaps dead workers' jobs, trims old ones."""

from __future__ import annotations

import logging
import os
import random
import signal
import time

from app.config import Config
from app.queue.errors import QueueUnavailable
from app.queue.opening import Store
from app.queue.server_clock import ServerClock
from workers.bell import Bell
from workers.housekeeping import House
from workers.presence import Presence, new_name
from workers.startup import run
from workers.wake import Watches

log = logging.getLogger(__name__)


class RetryWorker:
    """Rounds of housekeeping: at once when something is due, else every few seconds."""

    def __init__(self, config: Config) -> None:
        self.name = new_name()
        self._queue = Store(config, name=f"mailroom-{self.name}").queue
        self._housekeeper = House(config, self._queue)
        self._bell = Bell()
        self._wake = Watches(
            self._queue, config.server_url, self.name, lambda keys: keys.wake_due, self._bell
        )
        self._stopping = False
        self._who = Presence("retry", self._queue, ServerClock(self._queue.now))
        self._say_at = 0.0

    def run(self) -> int:
        """Works until SIGTERM or SIGINT; returns the exit code. Main thread only."""
        signal.set_wakeup_fd(self._bell.write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        log.info("Retry worker %s started", self.name)
        delay = 0.1
        while not self._stopping:
            try:
                self._queue.ensure_schema()
                self._wake.arm()
                wait_seconds = self._housekeeper.round()
                self._say_alive()
                delay = 0.1
            except QueueUnavailable as error:
                log.warning("Waiting for Redis: %s", error)
                wait_seconds = delay * random.uniform(0.5, 1.0)
                delay = min(delay * 2, 5.0)
            self._bell.wait(wait_seconds)
        self._leave()
        return 0

    def _say_alive(self) -> None:
        now = time.monotonic()
        if now < self._say_at:
            return
        self._say_at = now + self._queue.lease_ms / 1000 / 4
        self._queue.renew(self.name, [], self._who.facts())

    def _leave(self) -> None:
        self._wake.stop()
        signal.set_wakeup_fd(-1)
        try:
            self._queue.renew(self.name, [], None)
        except QueueUnavailable:
            log.info("Left without saying so: Redis is away")
        log.info("Retry worker %s stopped", self.name)

    def _on_signal(self, _signum: int, _frame: object) -> None:
        if self._stopping:
            os._exit(1)
        self._stopping = True


if __name__ == "__main__":
    run(lambda config: RetryWorker(config).run())
