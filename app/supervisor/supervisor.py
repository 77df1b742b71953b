"""Starts the system in order, keeps it running, stops it in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable

from app.supervisor.checks import StartFailed
from app.supervisor.child import Child, Program
from app.supervisor.inbox import SignalInbox
from app.supervisor.programs import System

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
# One Ctrl-C or `kill` may arrive twice, through make and directly.
SAME_REQUEST_SECONDS = 1.0
SERVER_STOP_SECONDS = 30.0
_ASK_AGAIN_SECONDS = 0.05
_PATIENCE_SECONDS = 10.0


class StopRequested(Exception):
    """Somebody asked the supervisor to stop."""


class Supervisor:
    """Runs one `System`.

    `say` prints a line to the person; `clock` is monotonic, in seconds. `asked_to_stop` is asked
    every second whether there is a request to stop that comes without a signal.
    """

    def __init__(
        self,
        inbox: SignalInbox,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        asked_to_stop: Callable[[], bool] | None = None,
    ) -> None:
        self._inbox = inbox
        self._say = say
        self._clock = clock
        self._asked_to_stop = asked_to_stop
        self._children: list[Child] = []
        self._starting = True
        self._asked_to_stop_at: float | None = None

    def start(self, system: System, check_server: Callable[[], None]) -> None:
        """Starts everything; returns when all of it answers.

        `check_server` runs once the server answers. Raises StartFailed, StopRequested.
        """
        if system.server is not None:
            self._launch(system.server)
            self._until(system.is_server_ready, "The embedded server is still loading its data.")
        check_server()
        for program in (*system.workers, system.api):
            self._launch(program)
        self._until(system.is_api_ready, "The API does not answer yet.")
        self._starting = False

    def run(self) -> None:
        """Restarts what ends. Raises StopRequested, at some time."""
        while True:
            self.pause(None if self._asked_to_stop is None else 1.0)

    def stop(self, system: System) -> None:
        """API and workers finish what they hold, then the server ends. Nothing is left behind.

        A further stop signal ends the first part at once.
        """
        clients = [child for child in self._children if child.program is not system.server]
        for child in clients:
            child.terminate()
        if not self._ended_within(system.drain_seconds, clients):
            self._kill(clients)
        server = [child for child in self._children if child.program is system.server]
        for child in server:
            child.terminate()
        if not self._ended_within(SERVER_STOP_SECONDS, server, hurry=False):
            self._kill(server)

    def pause(self, seconds: float | None) -> None:
        """Sleeps, at most until the next signal, and restarts what ended or is due.

        Raises StopRequested; StartFailed when something ends before all of it answered.
        """
        due = [child.starts_at - self._clock() for child in self._children if child.starts_at]
        times = due if seconds is None else [*due, seconds]
        signals = self._inbox.wait(min(times, default=None))
        if STOP_SIGNALS & set(signals) or (self._asked_to_stop and self._asked_to_stop()):
            self._asked_to_stop_at = self._clock()
            raise StopRequested
        for child in self._children:
            self._keep_running(child)

    def pids(self) -> list[tuple[str, int | None]]:
        """Name and process id of everything started, in order."""
        return [(child.program.name, child.pid) for child in self._children]

    def _launch(self, program: Program) -> None:
        child = Child(program, self._clock)
        self._children.append(child)
        child.start()

    def _until(self, is_true: Callable[[], bool], patience_line: str) -> None:
        """Waits for as long as it takes; what ends meanwhile ends the start."""
        impatient_at = self._clock() + _PATIENCE_SECONDS
        while not is_true():
            self.pause(_ASK_AGAIN_SECONDS)
            if self._clock() >= impatient_at:
                self._say(patience_line)
                impatient_at = float("inf")

    def _keep_running(self, child: Child) -> None:
        status = child.ended()
        if status is not None:
            how = f"{child.program.name} {describe_end(status)}"
            # Its own end, not a kill: it would only end again.
            if self._starting and 0 <= status < 128:
                raise StartFailed(f"The {how} before everything had started; see the lines above.")
            delay = child.restart_later()
            self._say(f"The {how}; it starts again in {delay:g} s.")
        elif child.starts_at is not None and child.starts_at <= self._clock():
            child.start()
            self._say(f"The {child.program.name} runs again (pid {child.pid}).")

    def _ended_within(self, seconds: float, children: Iterable[Child], hurry: bool = True) -> bool:
        """Waits until all have ended; False when the time is over or a person can't wait."""
        deadline = self._clock() + seconds
        running = [child for child in children if child.runs and child.ended() is None]
        while running:
            if self._clock() >= deadline:
                return False
            signals = self._inbox.wait(deadline - self._clock())
            if STOP_SIGNALS & set(signals) and self._is_another_request() and hurry:
                self._say("Stopping at once.")
                return False
            running = [child for child in running if child.ended() is None]
        return True

    def _is_another_request(self) -> bool:
        now, first = self._clock(), self._asked_to_stop_at
        if first is None:
            self._asked_to_stop_at = now
        return first is not None and now - first >= SAME_REQUEST_SECONDS

    def _kill(self, children: Iterable[Child]) -> None:
        running = [child for child in children if child.runs]
        for child in running:
            child.send(signal.SIGKILL)
        self._ended_within(5.0, running, hurry=False)


def describe_end(status: int) -> str:
    """An exit status, negative or above 128 for a signal, in words."""
    signum = -status if status < 0 else status - 128
    if signum > 0 and signum in {s.value for s in signal.Signals}:
        return f"was ended by {signal.Signals(signum).name}"
    return f"ended with status {status}"
