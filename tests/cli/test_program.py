"""`flask …` as a program of its own: exit codes, terminals, signals, and `docs/cli.md`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import redis

from app.cli.output import Commands
from app.queue.jobqueue import JobQueue
from app.queue.operations import Operations
from app.queue.submission import NewJob
from tests.cli.conftest import Flask
from tests.conftest import RedisServer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "cli.md"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(server: RedisServer, client: redis.Redis, tmp_path: Path) -> Iterator[Start]:
    """Starts `flask …` on the tests' server."""
    started: list[subprocess.Popen[str]] = []
    environment = os.environ | {
        "FLASK_APP": "wsgi",
        "REDIS_URL": server.url,
        "DATA_DIR": str(tmp_path),
        "JOB_MODULES": "tests.api.job_types",
    }

    def run(*words: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", *words],
            **{
                "cwd": ROOT,
                "env": environment | options.pop("env", {}),
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("jobs", "submit", "web_noop", "{}"), 0),
        (("jobs", "show", "9"), 1),
        (("jobs", "delete", "--all"), 0),
        (("queue", "repair"), 0),
        (("jobs", "list", "--status", "done"), 2),
    ],
)
def test_the_exit_codes(start: Start, words: tuple[str, ...], code: int) -> None:
    found, stdout, stderr = end(start(*words))
    assert found == code, stderr
    assert "Traceback" not in stderr
    assert (stdout == "") == (code != 0)


@pytest.mark.parametrize(
    "words", [("suppressions", "list"), ("jobs", "export"), ("queue", "pause")]
)
def test_redis_away_ends_with_3(start: Start, words: tuple[str, ...]) -> None:
    code, stdout, stderr = end(start(*words, env={"REDIS_URL": "redis://127.0.0.1:1"}))
    assert (code, stdout) == (3, "")
    assert stderr.startswith("Redis is away")


def test_a_terminal_sees_how_far_it_is_and_a_pipe_does_not(
    start: Start, client: redis.Redis
) -> None:
    JobQueue(client).submit_many([NewJob("web_noop")] * 500)
    ours, theirs = pty.openpty()
    process = start("jobs", "cancel", "--all", "--yes", stderr=theirs)
    os.close(theirs)
    code, stdout, _ = end(process)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)

    assert (code, stdout) == (0, "500 jobs cancelled, 0 skipped.\n")
    assert b"Cancel jobs" in shown and b"100%" in shown
    assert end(start("jobs", "delete", "--all", "--yes"))[2] == ""


def test_ctrl_c_stops_an_operation_cleanly(start: Start, client: redis.Redis) -> None:
    JobQueue(client).submit_many([NewJob("web_noop")] * 30_000)
    process = start("jobs", "delete", "--all", "--yes")
    deadline = time.monotonic() + 60
    while int(client.hget("Operation:1", "done") or 0) == 0:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    code, _, stderr = end(process)

    operation = Operations(client).get(1)
    assert (code, operation.status) == (130, "stopped")
    assert f"Stopped: {operation.done:,} jobs deleted" in stderr
    assert client.hlen("Job_map") == 30_000 - operation.done


def test_every_command_has_help_one_can_work_from_and_stands_in_the_docs(app: Flask) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    ours = {name: group for name, group in app.cli.commands.items() if isinstance(group, Commands)}
    assert ours.keys() == {"jobs", "queue", "suppressions", "keys"}
    for group_name, group in ours.items():
        for name, command in group.commands.items():
            full_name = f"flask {group_name} {name}"
            shown = command.get_help(click.Context(command, info_name=full_name))
            assert f"\n  {full_name}" in shown, "help without an example"
            assert "Exit codes: 0 done" in " ".join(shown.split())
            assert f"`{full_name}" in docs, f"docs/cli.md does not have {full_name}"
            for option in command.params:
                if isinstance(option, click.Option):
                    assert option.opts[-1] in docs, f"{full_name} {option.opts[-1]}"


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:  # the other end is closed
        return b""
