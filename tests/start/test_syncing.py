"""The embedded server's data goes to the disk once a second, and to its file before an answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.embedded import server_command
from app.supervisor.syncing import Syncing


def test_the_server_writes_before_it_answers(tmp_path: Path) -> None:
    command = server_command(Path("server"), tmp_path, tmp_path / "socket")
    assert command[command.index("--appendfsync") + 1] == "no"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_only_what_has_grown_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("app.supervisor.syncing.os.fsync", lambda file: synced.append(file))
    file = tmp_path / "appendonly.aof.1.incr.aof"
    syncing = Syncing(tmp_path)
    assert syncing.round() == 0
    file.write_text("one")
    assert (syncing.round(), syncing.round()) == (1, 0)
    file.write_text("one, two")
    assert syncing.round() == 1
    other = tmp_path / "other"
    other.write_text("one, two")
    os.replace(other, file)  # as long, and another file
    assert syncing.round() == 1
    assert len(synced) == 3


def test_a_file_that_goes_away_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone.aof").symlink_to(tmp_path / "nothing")
    assert Syncing(tmp_path).round() == 0
