"""`make run`: however make ends, everything stops in order and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.start.running import ROOT, RunningCopy, environment_without_settings, running_copy

# Without its first step (tests/start/test_venv.py has that): the tests' own Python is used.
MAKE_RUN = ["make", "-o", "venv", "run", f"VENV={sys.prefix}"]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[RunningCopy]:
    """A copy started by make, with all of it answering."""
    with running_copy(tmp_path / "data", MAKE_RUN) as copy:
        copy.wait_until_running()
        assert copy.answers()
        yield copy


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_make_alone_stops_all_in_order(copy: RunningCopy, signum: int) -> None:
    copy.process.send_signal(signum)

    assert copy.ended() == -signum
    assert copy.pids() == set()
    assert "Stopped.\n" in copy.output


def test_a_killed_make_stops_all_in_order(copy: RunningCopy) -> None:
    copy.process.kill()

    copy.wait_until_gone()
    assert "Stopped.\n" in copy.output


def test_ctrl_c_reaches_make_and_the_supervisor_at_once_and_is_one_request(tmp_path: Path) -> None:
    # `setsid` gives make a process group of its own, as a terminal does.
    with running_copy(tmp_path / "data", ["setsid", *MAKE_RUN]) as copy:
        copy.wait_until_running()
        os.killpg(copy.process.pid, signal.SIGINT)

        copy.wait_until_gone()
        assert copy.ended() != 0
        assert "Stopping at once" not in copy.output
        assert "Stopped.\n" in copy.output


def test_wrong_settings_end_make_with_their_lines(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data", MAKE_RUN, WEB_THREADS="none") as copy:
        assert copy.ended() == 2
        assert "WEB_THREADS: Must be a whole number from 1 to 256." in copy.output


def test_a_missing_python_is_told_in_words() -> None:
    result = subprocess.run(
        ["make", "run", "PYTHON=no-such-python"],
        cwd=ROOT,
        env=environment_without_settings(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 2
    assert "Python 3.11 or newer is needed and was not found." in result.stderr


def test_help_lists_the_targets() -> None:
    result = subprocess.run(
        ["make"],
        cwd=ROOT,
        env=environment_without_settings(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert all(f"make {target} " in result.stdout for target in ("run", "test", "lint"))
