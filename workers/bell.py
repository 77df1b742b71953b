"""A bell that threads and signals ring, and one thread waits for."""

from __future__ import annotations

import contextlib
import os
import select


class Bell:
    """Wakes the one thread that waits. Safe to ring from a signal handler: it only writes a byte.

    A `threading.Event` would not do: setting one in a signal handler can deadlock, and a wait
    that a signal interrupts goes on.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    @property
    def write_end(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`."""
        return self._write_end

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it rings already
            os.write(self._write_end, b"!")

    def wait(self, timeout_seconds: float | None) -> bool:
        """Returns when the bell rang since the last wait (True), or after the time-out (False)."""
        rang, _, _ = select.select([self._read_end], [], [], timeout_seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_end, 4096)
        return bool(rang)
