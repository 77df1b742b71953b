"""Running copies of the system, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from app.config import Config

ROOT = Path(__file__).parents[2]
SUPERVISOR = [sys.executable, "-m", "app"]
DEADLINE_SECONDS = 60.0
# Longer than a busy machine needs, shorter than anybody who stalls is waited for
# (app/security/slow_clients.py).
ANSWER_SECONDS = 8


@dataclass
class RunningCopy:
    """One copy of the system, known by its DATA_DIR."""

    process: subprocess.Popen[bytes]
    port: int
    data_dir: Path
    output_file: Path

    @property
    def output(self) -> str:
        return self.output_file.read_text(encoding="utf-8")

    @property
    def socket(self) -> Path:
        return self.data_dir / "redis.sock"

    def answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/healthz"
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as got:
                return bool(got.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_until_running(self) -> None:
        """All is started and the block that says so was printed."""
        wait_for(lambda: "processes" in self.output or self.process.poll() is not None, self)
        assert self.process.poll() is None, self.output

    def ended(self) -> int:
        """Waits for the end of the started process; its exit status."""
        return self.process.wait(timeout=DEADLINE_SECONDS)

    def pids(self) -> set[int]:
        """Every living process with this DATA_DIR in its environment, or that works in it."""
        return pids_of(self.data_dir)

    def pid_of(self, *words: str) -> int | None:
        """The process whose command line holds all the words; the oldest, where there are more."""
        found = [pid for pid in self.pids() if all(word in command_line(pid) for word in words)]
        return min(found, default=None)

    def kill(self, *words: str) -> int:
        """`kill -9` of one process; returns its id."""
        pid = self.pid_of(*words)
        assert pid is not None, self.output
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_until_gone(self) -> None:
        wait_for(lambda: not self.pids(), self)


@contextlib.contextmanager
def running_copy(
    data_dir: Path, command: list[str] | None = None, port: int | None = None, **settings: str
) -> Iterator[RunningCopy]:
    """Starts a copy; at the end nothing of it is left, whatever the test did to it.

    Another copy with the same DATA_DIR, if there is one, is left alone.
    """
    port = port or free_port()
    output_file = data_dir.with_name(f"{data_dir.name}-{port}.txt")
    environment = environment_without_settings() | settings
    environment |= {"PORT": str(port), "DATA_DIR": str(data_dir)}
    others = pids_of(data_dir)
    with output_file.open("wb") as output:
        process = subprocess.Popen(
            command or SUPERVISOR,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_hang_up_as_usual(),
        )
    copy = RunningCopy(process, port, data_dir, output_file)
    try:
        yield copy
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
        for pid in copy.pids() - others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)


def environment_without_settings() -> dict[str, str]:
    """The environment without what a developer may have set for a copy of their own."""
    ours = {field.name.upper() for field in fields(Config)} - {"REDIS_SERVER_BIN"}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("MAKE")
    }


def _hang_up_as_usual() -> Callable[[], object] | None:
    """What a child does before its program: `nohup pytest` hands on that SIGHUP is ignored, and a
    copy started so rightly lives on. Only then, as forking has risks where threads run."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        return None
    return lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)


def wait_for(condition: Callable[[], object], copy: RunningCopy | None = None) -> None:
    """Returns when the condition is true; fails at the deadline with what the copy printed."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        printed = copy.output if copy else ""
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS} s in vain\n{printed}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pids_of(data_dir: Path) -> set[int]:
    return {pid for pid in all_pids() if _belongs_to(pid, data_dir)}


def all_pids() -> set[int]:
    """Every process but zombies, which are gone for all but their parent."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and _lives(int(name))}


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] not in "ZX"
    return False


def _belongs_to(pid: int, data_dir: Path) -> bool:
    with contextlib.suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if os.fsencode(f"DATA_DIR={data_dir}") in environment:
            return True
        # The server writes its title over its environment.
        return data_dir in Path(os.readlink(f"/proc/{pid}/cwd")).parents
    return False
