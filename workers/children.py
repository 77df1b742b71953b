"""Child processes that run jobs, one at a time each, and a pool of them."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import queue as queues
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from app.config import Config
from app.queue.job import Job
from app.queue.outcome import Outcome
from workers.slot import Slot

if TYPE_CHECKING:
    from workers.worker_base import Worker

START_SECONDS = 30.0  # for a process to load all it needs
IDLE_SECONDS = 10.0  # then a process that has nothing to do ends
READY, GO, SENDING = "ready", "go", "sending"  # what the two say to each other, beside the job

# Not fork: the parent has threads, and the child would inherit their locks.
_processes = multiprocessing.get_context("spawn")


class NoProcess(Exception):
    """No child process could be started, or none that gets as far as a job."""


class Child:
    """One child process. It ends together with all that its jobs started, and with its parent."""

    def __init__(self, worker: Worker) -> None:
        """Raises NoProcess."""
        self._pipe, far_end = _processes.Pipe()
        try:
            self._process = _processes.Process(
                target=_serve, args=(type(worker), worker.config, far_end)
            )
            self._process.start()
        except OSError as error:
            self._pipe.close()
            raise NoProcess(str(error)) from error
        finally:
            far_end.close()
        self.idle_since = 0.0

    def take(self, job: Job) -> bool:
        """Hands the job over, and waits until it could begin. False: the process died."""
        try:
            self._pipe.send(job)
            return self._pipe.poll(START_SECONDS) and self._pipe.recv() == READY
        except (EOFError, OSError):
            return False

    def run(self, job: Job) -> Outcome | None:
        """The outcome of the job that it took; None when the process died without one.

        `job.sending` follows what the process says of the point of no return.
        """
        try:
            self._pipe.send(GO)
            while (said := self._pipe.recv()) == SENDING:
                job.sending = True
        except (EOFError, OSError):
            return None
        outcome: Outcome = said
        return outcome

    def kill(self) -> None:
        """Ends the process together with what its jobs started. From any thread."""
        assert self._process.pid is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has no group of its own yet
            self._process.kill()

    def end(self) -> None:
        """Kills it and leaves nothing of it behind."""
        self.kill()
        self._process.join()
        self._pipe.close()


class Children:
    """The child processes of a worker, kept for the next job for a while.

    Starting one costs as much as a thousand short jobs. So never are two started at once, and who
    could do with one that others use waits for it first, for as long as the latest start took.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._changed = threading.Condition()
        self._idle: list[Child] = []
        self._busy = 0
        self._starting = False
        self._next_start_at = 0.0  # on the monotonic clock, while others are busy
        self._timer: threading.Timer | None = None

    def take(self, job: Job, slot: Slot, *, fresh: bool) -> Child | None:
        """A child that has taken the job; None when the slot was told to stop.

        `fresh`: one that has run no other job. Raises NoProcess.
        """
        while child := self._idle_one(slot, fresh):
            if isinstance(child, bool):
                return self._start(job, slot)
            slot.stop_with(child.kill)
            if child.take(job):
                return child
            self._end(child)
        return None

    def give_back(self, child: Child, slot: Slot, *, died: bool) -> None:
        slot.stop_with(_do_nothing)  # from now on nobody may kill it because of this job
        if died or slot.reason:
            self._end(child)
            return
        with self._changed:
            self._busy -= 1
            child.idle_since = time.monotonic()
            self._idle.append(child)
            self._changed.notify_all()
            self._end_idle_later()

    def close(self) -> None:
        """Ends those that are idle."""
        self._end_idle(older_than=-math.inf)

    def _idle_one(self, slot: Slot, fresh: bool) -> Child | bool:
        """True: start one. False: the slot was told to stop."""
        slot.stop_with(self._wake)
        with self._changed:
            while not slot.reason:
                if self._idle and not fresh:
                    self._busy += 1
                    return self._idle.pop()
                wait_seconds = 0.0
                if self._busy and not fresh:
                    wait_seconds = self._next_start_at - time.monotonic()
                if wait_seconds <= 0 and not self._starting:
                    self._busy += 1
                    self._starting = True
                    return True
                self._changed.wait(None if self._starting else wait_seconds)
        return False

    def _start(self, job: Job, slot: Slot) -> Child | None:
        began = time.monotonic()
        child, has_taken = None, False
        try:
            child = Child(self._worker)
            slot.stop_with(child.kill)
            has_taken = child.take(job)
        finally:
            with self._changed:
                now = time.monotonic()
                self._next_start_at = now + (now - began)
                self._starting = False
                if child is None:
                    self._busy -= 1
                self._changed.notify_all()
        if has_taken:
            return child
        self._end(child)
        if slot.reason:
            return None
        raise NoProcess("it ended before it could begin")

    def _end(self, child: Child) -> None:
        """One that was busy."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
        child.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _end_idle_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(IDLE_SECONDS, self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self, older_than: float = IDLE_SECONDS) -> None:
        with self._changed:
            self._timer = None
            since = time.monotonic() - older_than
            ended = [child for child in self._idle if child.idle_since <= since]
            self._idle = [child for child in self._idle if child.idle_since > since]
            if self._idle:
                self._end_idle_later()
        for child in ended:
            child.end()


def _do_nothing() -> None:
    pass


# ── In the child ────────────────────────────────────────────────────────────────────────────


def _serve(worker_class: type[Worker], config: Config, pipe: Connection) -> None:
    from workers.startup import prepare

    os.setpgid(0, 0)
    # Some stop a worker by signals to all its processes; the parent decides about this one.
    # Not SIG_IGN: what the job starts would inherit it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signum, _frame: None)
    heard: queues.SimpleQueue[Job | str] = queues.SimpleQueue()
    threading.Thread(target=_hear, args=(pipe, heard.put), daemon=True).start()
    prepare(config)
    worker = worker_class(config)
    worker.announce_sending = lambda: pipe.send(SENDING)
    job = None
    while True:
        said = heard.get()
        if isinstance(said, Job):
            job = said
            pipe.send(READY)
        elif job is not None:
            pipe.send(worker.attempt(job))
            job = None


def _hear(pipe: Connection, put: Callable[[Job | str], None]) -> None:
    """Also sees that the parent is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            put(pipe.recv())
    os.killpg(0, signal.SIGKILL)
