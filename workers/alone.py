"""Runs a job alone in a child process, so that its death takes nobody with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from app.config import Config
from app.queue.job import Job
from app.queue.outcome import Outcome
from workers.slot import Slot

if TYPE_CHECKING:
    from workers.worker_base import Worker

SENDING = "sending"  # what the process says when it is about to pass the point of no return

# Not fork: the parent has threads, and the child would inherit their locks.
_processes = multiprocessing.get_context("spawn")


def attempt_alone(
    worker: Worker, job: Job, slot: Slot, *, ready: Callable[[], None]
) -> Outcome | None:
    """The outcome of the job, run in a new process; None when that died without one.

    `ready` is called when the process has loaded all it needs and begins the job. `job.sending`
    follows what it says of the point of no return.
    """
    answer, answer_end = _processes.Pipe(duplex=False)
    lifeline_end, lifeline = _processes.Pipe(duplex=False)
    process = _processes.Process(
        target=_child,
        args=(type(worker), worker.config, job, answer_end, lifeline_end),
    )
    process.start()
    answer_end.close()
    lifeline_end.close()
    slot.run_in_process(lambda: _kill(process))
    try:
        answer.recv()
        ready()
        while (said := answer.recv()) == SENDING:
            job.sending = True
        outcome: Outcome | None = said
    except EOFError:
        outcome = None
    finally:
        _kill(process)
        process.join()
        answer.close()
        lifeline.close()
    return outcome


def _kill(process: SpawnProcess) -> None:
    """Ends the process together with what the job started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet
        process.kill()


def _child(
    worker_class: type[Worker], config: Config, job: Job, answer: Connection, lifeline: Connection
) -> None:
    from workers.startup import prepare

    os.setpgid(0, 0)
    # Some stop a worker by signals to all its processes; the parent decides about this one.
    # Not SIG_IGN: what the job starts would inherit it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signum, _frame: None)
    threading.Thread(target=_end_with_the_parent, args=(lifeline,), daemon=True).start()
    prepare(config)
    worker = worker_class(config)
    worker.announce_sending = lambda: answer.send(SENDING)
    answer.send("ready")
    answer.send(worker.attempt(job))
    # The job may have left threads behind; they must not keep the process.
    os._exit(0)


def _end_with_the_parent(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError):
        lifeline.recv()
    os.killpg(0, signal.SIGKILL)
