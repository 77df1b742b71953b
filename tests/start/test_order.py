"""The supervisor's order and patience, seen with small programs in the place of the real ones."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.supervisor.child import Child, Program
from app.supervisor.supervisor import SAME_REQUEST_SECONDS, describe_end
from tests.start.running import RunningCopy, running_copy, wait_for


@contextmanager
def stand_ins(folder: Path, drain_seconds: float, **behaviours: str) -> Iterator[RunningCopy]:
    log = log_of(folder)
    log.touch()
    pairs = [f"{name}={behaviour}" for name, behaviour in behaviours.items()]
    module = [sys.executable, "-m", "tests.start.stand_in"]
    command = [*module, str(log), str(drain_seconds), *pairs]
    with running_copy(folder / "data", command) as copy:
        yield copy


def log_of(folder: Path) -> Path:
    return folder / "log.txt"


def lines(folder: Path) -> list[str]:
    return log_of(folder).read_text().splitlines()


def test_the_server_starts_first_and_ends_last(tmp_path: Path) -> None:
    with stand_ins(tmp_path, 20) as copy:
        wait_for(lambda: "all running" in lines(tmp_path), copy)
        copy.process.terminate()
        assert copy.ended() == 0

    seen = lines(tmp_path)
    assert seen[0] == "server started"
    assert seen[-2:] == ["server asked", "server done"]
    assert seen.index("worker asked") < seen.index("server asked")
    assert seen.index("api asked") < seen.index("server asked")


def test_who_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    with stand_ins(tmp_path, 0.5, worker="stubborn") as copy:
        wait_for(lambda: "all running" in lines(tmp_path), copy)
        copy.process.terminate()
        assert copy.ended() == 0
        assert copy.pids() == set()

    assert "worker done" not in lines(tmp_path)
    assert lines(tmp_path)[-1] == "server done"


def test_a_second_request_does_not_wait(tmp_path: Path) -> None:
    with stand_ins(tmp_path, 600, worker="stubborn") as copy:
        wait_for(lambda: "all running" in lines(tmp_path), copy)
        copy.process.send_signal(signal.SIGINT)
        wait_for(lambda: "worker asked" in lines(tmp_path), copy)
        heard_by = time.monotonic()
        wait_for(lambda: time.monotonic() > heard_by + SAME_REQUEST_SECONDS + 0.2)
        copy.process.send_signal(signal.SIGINT)
        assert copy.ended() == 0
        assert copy.pids() == set()

    assert lines(tmp_path)[-1] == "server done"


def test_a_program_that_ends_by_itself_ends_the_start(tmp_path: Path) -> None:
    with stand_ins(tmp_path, 5, api="crash") as copy:
        # Whether the API was seen to answer before it ended is a matter of luck; both are fine.
        wait_for(lambda: "api ended with status 3" in copy.output, copy)


def test_each_failure_doubles_the_wait_until_a_process_lived_a_minute() -> None:
    now = 1000.0
    child = Child(Program("short", [sys.executable, "-c", ""]), clock=lambda: now)
    child.start()
    wait_for(lambda: child.ended() == 0)
    delays = [child.restart_later() for _ in range(8)]
    now += 60

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert child.restart_later() == 0.5


def test_what_a_dead_process_left_in_its_session_ends_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "import subprocess, sys, pathlib\n"
        "left = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(left.pid))\n"
        "import os; os._exit(0)\n"
    )
    child = Child(Program("parent", [sys.executable, "-c", script]), clock=time.monotonic)
    child.start()
    wait_for(lambda: child.ended() == 0)

    wait_for(lambda: not Path(f"/proc/{pid_file.read_text()}").exists())


def test_an_end_is_told_in_words() -> None:
    assert describe_end(3) == "ended with status 3"
    assert describe_end(-9) == describe_end(137) == "was ended by SIGKILL"
