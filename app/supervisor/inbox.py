"""Signals as things to read: no handler does anything, and nothing polls."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable


class SignalInbox:
    """Catches `signals` from now on; `wait` tells which arrived. Main thread only."""

    def __init__(self, signals: Iterable[int]) -> None:
        self._read_fd, write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(write_fd, False)
        # The interpreter writes the number of each signal that has a handler into this pipe.
        signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        for signum in signals:
            signal.signal(signum, lambda *_: None)

    def wait(self, seconds: float | None, also: int | None = None) -> list[int]:
        """Sleeps until a signal arrives, `also` can be read, or the time is over.

        Returns the numbers of the signals; empty for the other two.
        """
        fds = [self._read_fd] if also is None else [self._read_fd, also]
        timeout = None if seconds is None else max(0.0, seconds)
        ready, _, _ = select.select(fds, [], [], timeout)
        return list(os.read(self._read_fd, 4096)) if self._read_fd in ready else []
