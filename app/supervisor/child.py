"""One program that is kept running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

from app.supervisor.parent_death import end_with_parent

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 30.0
STEADY_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `name` is what people read of it."""

    name: str
    command: list[str]
    # Which of the supervisor's file descriptors it inherits.
    pass_fds: tuple[int, ...] = ()
    # None: it notices by itself that the supervisor is gone.
    signal_at_parent_death: str | None = "SIGTERM"


@dataclass(slots=True)
class Child:
    """A program's process, and when to start the next one. Times are the `clock`'s seconds."""

    program: Program
    clock: Callable[[], float]
    started_at: float = 0.0
    starts_at: float | None = None  # when it is due to start; None while it runs
    failures: int = 0  # in a row, each before it was steady
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Starts it in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        death_signal = self.program.signal_at_parent_death
        self._process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.program.pass_fds,
            preexec_fn=end_with_parent(death_signal) if death_signal else None,
        )
        self.started_at, self.starts_at = self.clock(), None

    def ended(self) -> int | None:
        """The exit status (negative: the signal) once, when the process ended; else None.

        What the process left behind in its session ends with it.
        """
        if self._process is None or self._process.poll() is None:
            return None
        status: int = self._process.returncode
        self.send(signal.SIGKILL)
        self._process = None
        return status

    def restart_later(self) -> float:
        """Plans the next start and returns how many seconds away it is."""
        if self.clock() - self.started_at >= STEADY_AFTER_SECONDS:
            self.failures = 0
        delay: float = min(BACKOFF_FIRST_SECONDS * 2**self.failures, BACKOFF_MAX_SECONDS)
        self.failures = min(self.failures + 1, 10)
        self.starts_at = self.clock() + delay
        return delay

    def terminate(self) -> None:
        """Asks the process to finish; its own children are its own business."""
        if self._process is not None:
            self._process.terminate()

    def send(self, signum: int) -> None:
        """Sends a signal to the process and everything it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signum)
