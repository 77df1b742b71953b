"""A slot runs one job at a time in its own thread, and can be told to stop it."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.queue.job import Job


class Interrupted(BaseException):
    """Raised inside a running job to end it. Not an `Exception`, so that a job's own
    `except Exception` doesn't swallow it."""


class TimedOut(Interrupted):
    """The job ran longer than its type's `timeout_seconds`."""


class Cancelled(Interrupted):
    """A person cancelled the job."""


class ShuttingDown(Interrupted):
    """The worker stops, and the job did not finish in time."""


class LeaseGone(Interrupted):
    """Another worker may have begun the job: this one must not go on."""


class Slot:
    """What the thread of one slot is doing. `stop` may be called from any thread."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.deadline: float | None = None  # on the monotonic clock
        self.reason: type[Interrupted] | None = None  # why it was told to stop
        self.stopped_at = 0.0
        self._thread_id = 0
        self._kill: Callable[[], None] | None = None
        self._shielded = False
        self._lock = threading.Lock()

    def begin(self, job: Job, timeout_seconds: float | None) -> None:
        with self._lock:
            self._thread_id = threading.get_ident()
            self.reason = None
            self.deadline = time.monotonic() + timeout_seconds if timeout_seconds else None
            self.job = job

    def allow(self, seconds: float) -> None:
        """A job that has a time-out has these seconds from now on."""
        with self._lock:
            if self.deadline is not None:
                self.deadline = time.monotonic() + seconds

    def stop_with(self, kill: Callable[[], None]) -> None:
        """From now on `kill` stops the job, which runs in a child process or waits for one."""
        with self._lock:
            self._kill = kill
            if self.reason:  # told to stop before
                kill()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """An interruption waits for the end of the block, as where half a conversation with Redis
        would leave the answer for the next one who asks. For the slot's own thread."""
        with self._lock:
            self._shielded = True
        try:
            yield
        finally:
            with self._lock:
                self._shielded = False
                reason = self.reason
            if reason:
                raise reason

    def end(self) -> None:
        """After this no interruption comes any more. Twice does no harm."""
        with self._lock:
            self.job = self._kill = self.deadline = None
            if self.reason:
                _raise_in_thread(self._thread_id, None)

    def stop(self, job: Job, reason: type[Interrupted]) -> None:
        """Interrupts the job, if it is still this one: at most once.

        A thread that is blocked in C code notices only when that returns.
        """
        with self._lock:
            if self.job is not job or self.reason:
                return
            self.reason = reason
            self.stopped_at = time.monotonic()
            if self._kill:
                self._kill()
            # A job that is to run alone has not got so far yet; see stop_with.
            elif not job.deaths and not self._shielded:
                _raise_in_thread(self._thread_id, reason)


def _raise_in_thread(thread_id: int, exception: type[BaseException] | None) -> None:
    """Raises at the thread's next bytecode, or takes back what was not yet raised.

    https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc
    """
    target = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), target)
