"""python -m tests.start.stand_in LOG DRAIN_SECONDS NAME=BEHAVIOUR…: a supervisor of small programs.

Each program writes "NAME started", "NAME asked" (SIGTERM) and "NAME done" to LOG. Behaviours:
`polite` ends when asked; `stubborn` never does; `crash` ends at once, with status 3.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from app.supervisor.checks import StartFailed
from app.supervisor.child import Program
from app.supervisor.inbox import SignalInbox
from app.supervisor.programs import System
from app.supervisor.supervisor import STOP_SIGNALS, StopRequested, Supervisor


def supervise(log: Path, drain_seconds: float, behaviours: dict[str, str]) -> int:
    def program(name: str) -> Program:
        here = [sys.executable, "-m", "tests.start.stand_in", "play"]
        return Program(name, [*here, str(log), name, behaviours.get(name, "polite")])

    def started(*names: str) -> bool:
        text = log.read_text()
        return all(f"{name} started\n" in text for name in names)

    system = System(
        server=program("server"),
        workers=[program("worker")],
        api=program("api"),
        is_server_ready=lambda: started("server"),
        is_api_ready=lambda: started("worker", "api"),
        drain_seconds=drain_seconds,
    )
    inbox = SignalInbox({*STOP_SIGNALS, signal.SIGCHLD})
    supervisor = Supervisor(inbox, lambda line: print(line, flush=True))
    try:
        supervisor.start(system, lambda: None)
        note(log, "all running")
        supervisor.run()
    except StopRequested:
        pass
    except StartFailed as error:
        print(error, flush=True)
        return 1
    finally:
        supervisor.stop(system)
    return 0


def play(log: Path, name: str, behaviour: str) -> int:
    asked = False

    def on_signal(*_: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, on_signal)
    note(log, f"{name} started")
    if behaviour == "crash":
        return 3
    while not asked:
        time.sleep(0.01)
    note(log, f"{name} asked")
    while behaviour == "stubborn":
        time.sleep(0.01)
    note(log, f"{name} done")
    return 0


def note(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


if __name__ == "__main__":
    if sys.argv[1] == "play":
        sys.exit(play(Path(sys.argv[2]), *sys.argv[3:]))
    pairs = dict(argument.split("=") for argument in sys.argv[3:])
    sys.exit(supervise(Path(sys.argv[1]), float(sys.argv[2]), pairs))
