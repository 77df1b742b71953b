"""`python -m app` for real: what it starts, what it restarts, and that it leaves nothing behind."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import is_ready, socket_url
from app.queue.connection import connect
from tests.start.running import RunningCopy, running_copy, wait_for

WORKER = "workers.main_worker"
SERVER = "unixsocket:"
API = "gunicorn"


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[RunningCopy]:
    """A copy that runs, with all of it answering."""
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        yield copy


def test_it_says_what_runs_and_where_to_look(copy: RunningCopy) -> None:
    assert copy.answers()
    assert f"http://127.0.0.1:{copy.port}/dashboard" in copy.output
    assert all(copy.pid_of(words) for words in (WORKER, "workers.retry_worker", SERVER, API))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_ends_everything_with_status_0(copy: RunningCopy, signum: int) -> None:
    copy.process.send_signal(signum)

    assert copy.ended() == 0
    assert copy.pids() == set()
    assert "Traceback" not in copy.output
    assert copy.output.endswith("Stopped.\n")


def test_the_same_request_twice_within_a_second_is_one_request(copy: RunningCopy) -> None:
    copy.process.send_signal(signal.SIGINT)
    copy.process.send_signal(signal.SIGTERM)

    assert copy.ended() == 0
    assert "Stopping at once" not in copy.output


@pytest.mark.parametrize("words", [WORKER, "workers.retry_worker", API])
def test_what_was_killed_runs_again(copy: RunningCopy, words: str) -> None:
    killed = copy.kill(words)

    # The workers of a killed gunicorn live and answer for a second more: only the line tells that
    # the supervisor has seen the end.
    wait_for(lambda: "was ended by SIGKILL; it starts again in 0.5 s." in copy.output, copy)
    wait_for(lambda: copy.pid_of(words) not in (None, killed) and copy.answers(), copy)


def test_a_killed_server_runs_again_with_what_it_had(copy: RunningCopy) -> None:
    client = connect(socket_url(copy.socket), name="tests")
    client.set("kept", "yes")
    killed = copy.kill(SERVER)

    wait_for(lambda: copy.pid_of(SERVER) not in (None, killed), copy)
    wait_for(lambda: is_ready(socket_url(copy.socket)), copy)
    assert client.get("kept") == "yes"
    client.close()


def test_a_new_start_has_what_the_last_one_had(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        client = connect(socket_url(copy.socket), name="tests")
        client.set("kept", "yes")
        client.close()
    with running_copy(tmp_path / "data") as copy:
        copy.wait_until_running()
        client = connect(socket_url(copy.socket), name="tests")
        assert client.get("kept") == "yes"
        client.close()


def test_a_killed_supervisor_leaves_nothing_behind(copy: RunningCopy) -> None:
    copy.process.kill()

    copy.wait_until_gone()


def test_nothing_is_left_when_the_servers_parent_is_killed_too(copy: RunningCopy) -> None:
    copy.kill("app.supervisor.leash")
    copy.process.kill()

    copy.wait_until_gone()


def test_a_start_right_after_a_kill_waits_for_the_old_copy(copy: RunningCopy) -> None:
    copy.process.kill()

    with running_copy(copy.data_dir, port=copy.port) as second:
        second.wait_until_running()
        assert second.answers()


def test_two_copies_run_side_by_side(copy: RunningCopy, tmp_path: Path) -> None:
    with running_copy(tmp_path / "second") as second:
        second.wait_until_running()
        assert copy.answers() and second.answers()


def test_a_locked_data_dir_is_one_clear_line(copy: RunningCopy) -> None:
    with running_copy(copy.data_dir) as second:
        assert second.ended() == 1
        [line] = second.output.splitlines()
        assert line.startswith("DATA_DIR: ") and "in use by another copy" in line
    assert copy.answers()


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with running_copy(tmp_path / "data", port=port) as copy:
            assert copy.ended() == 1
            [line] = copy.output.splitlines()
            assert line.startswith(f"PORT: {port} on 127.0.0.1 can't be used")
            assert copy.pids() == set()


def test_the_port_of_another_copy_is_not_shared_with_it(copy: RunningCopy, tmp_path: Path) -> None:
    with running_copy(tmp_path / "second", port=copy.port) as second:
        assert second.ended() == 1
        assert f"PORT: {copy.port}" in second.output


def test_wrong_settings_are_a_line_each(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data", LEASE_SECONDS="soon", WORKER_PROCESSES="-1") as copy:
        assert copy.ended() == 2
        assert copy.output.splitlines() == [
            "LEASE_SECONDS: Must be a number from 0.2 to 86400.",
            "WORKER_PROCESSES: Must be a whole number from 0 to 64.",
        ]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("JOB_MODULES", "no_such_module", "No module named 'no_such_module'"),
        ("MAIL_FROM", "nobody", "MAIL_FROM: Not a valid address"),
    ],
)
def test_what_keeps_job_types_from_loading_is_said_once(
    tmp_path: Path, setting: str, value: str, said: str
) -> None:
    with running_copy(tmp_path / "data", **{setting: value}) as copy:
        assert copy.ended() == 2
        [line] = copy.output.splitlines()
        assert said in line
        assert copy.pids() == set()


def test_a_missing_server_program_names_the_setting(tmp_path: Path) -> None:
    with running_copy(tmp_path / "data", REDIS_SERVER_BIN="no-such-server") as copy:
        assert copy.ended() == 1
        assert copy.output.startswith("REDIS_SERVER_BIN: no-such-server ")


def test_with_redis_url_no_server_is_started(tmp_path: Path, server) -> None:
    with running_copy(tmp_path / "data", REDIS_URL=server.url) as copy:
        copy.wait_until_running()
        assert copy.pid_of(SERVER) is None
        assert copy.answers()


def test_a_redis_that_is_away_does_not_stop_the_start(tmp_path: Path) -> None:
    away = {"REDIS_URL": f"unix://{tmp_path}/none.sock", "SHUTDOWN_SECONDS": "1"}
    with running_copy(tmp_path / "data", **away) as copy:
        copy.wait_until_running()
        assert "does not answer yet" in copy.output
        copy.process.terminate()
        assert copy.ended() == 0


def test_a_long_data_dir_works(tmp_path: Path) -> None:
    with running_copy(tmp_path / ("long" * 30)) as copy:
        copy.wait_until_running()
        assert copy.pid_of(SERVER)
        copy.process.terminate()
        assert copy.ended() == 0
