"""The journal of outcomes that Redis could not be told. Files only; no server, no worker."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from app.queue import outcome as outcomes
from app.queue.job import Priority
from app.queue.outcome import Outcome
from app.queue.submission import NewJob
from tests.workers.crews import make_job
from workers.journal import Journal, journals, left_behind

DONE = outcomes.completed(make_job(1), {"é": "line\nbreak"})
FAILED = outcomes.failed(make_job(2), "no", retry_in_ms=1000, smtp_code=450, result=[1])
RELEASED = outcomes.released(make_job(3), reason="stopped")
FOLLOWED = Outcome(
    4, "t", "complete", follow_ups=(NewJob("echo", "{}", Priority.HIGH, tags=("a", "b")),)
)


def read(path: Path) -> list[Outcome]:
    with left_behind(path) as found:
        return list(found)


def dead(journal: Journal) -> None:
    """What the end of its process does: the lock is gone, the file stays."""
    assert journal._file is not None
    os.close(journal._file)


def test_while_there_is_nothing_to_keep_there_is_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "w1")
    journal.keep([])
    journal.clear()

    assert journals(tmp_path / "journal") == []
    assert list(tmp_path.iterdir()) == []


def test_what_was_kept_outlives_the_worker(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal", "w1")
    journal.keep([DONE, FAILED])
    journal.keep([RELEASED, FOLLOWED])
    dead(journal)
    [path] = journals(tmp_path / "deep" / "journal")

    assert path.name == "w1.jsonl"
    assert read(path) == [DONE, FAILED, RELEASED, FOLLOWED]
    assert not path.exists()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", "w1")
    journal.keep([DONE])

    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0
    assert (tmp_path / "journal" / "w1.jsonl").stat().st_mode & 0o077 == 0


def test_the_journal_of_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    [path] = journals(tmp_path)

    assert read(path) == []
    journal.keep([FAILED])
    dead(journal)
    assert read(path) == [DONE, FAILED]


def test_what_was_told_is_gone_and_the_next_time_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    journal.clear()
    assert journals(tmp_path) == []
    journal.keep([FAILED])
    dead(journal)

    assert read(tmp_path / "w1.jsonl") == [FAILED]


def test_a_journal_that_could_not_be_told_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    dead(journal)
    path = tmp_path / "w1.jsonl"

    with pytest.raises(RuntimeError), left_behind(path):
        raise RuntimeError

    assert read(path) == [DONE]


def test_a_file_that_was_deleted_before_its_owner_got_the_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker took the empty file for a dead one's."""
    path, open_file = tmp_path / "w1.jsonl", os.open

    def open_and_lose(name: str, *args: int) -> int:
        file = open_file(name, *args)
        if name == path and not lost:
            lost.append(file)
            path.unlink()
        return file

    lost: list[int] = []
    monkeypatch.setattr("workers.journal.os.open", open_and_lose)
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    dead(journal)

    assert len(lost) == 1
    assert read(path) == [DONE]


@pytest.mark.parametrize("torn_bytes", [1, 20, 60])
def test_a_torn_last_line_costs_only_itself(
    tmp_path: Path, torn_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE, FAILED])
    dead(journal)
    path = tmp_path / "w1.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:torn_bytes])

    assert read(path) == [DONE]
    assert "incomplete" in caplog.text


@pytest.mark.parametrize("line", ["7", "[]", "{}", "\0", '{"job_id": 1, "verb": "complete"}'])
def test_a_line_that_is_no_outcome_is_left_out(tmp_path: Path, line: str) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    dead(journal)
    path = tmp_path / "w1.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")

    assert read(path) == [DONE]


def test_a_full_disk_is_logged_once_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, "w1")
    journal.keep([DONE])
    write = os.write

    def write_half(file: int, data: bytes) -> int:
        write(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("workers.journal.os.write", write_half)
        journal.keep([FAILED])
        journal.keep([FAILED])
    journal.keep([RELEASED])
    dead(journal)

    complaints = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(complaints) == 1
    assert "No space left" in complaints[0].getMessage()
    assert read(tmp_path / "w1.jsonl") == [DONE, RELEASED]


def test_a_folder_that_cannot_be_made_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal", "w1")
    for _ in range(3):
        journal.keep([DONE])
    journal.clear()

    assert len(caplog.records) == 1
    assert journals(tmp_path / "file" / "journal") == []


def test_a_line_is_json(tmp_path: Path) -> None:
    Journal(tmp_path, "w1").keep([DONE])

    [line] = (tmp_path / "w1.jsonl").read_text().splitlines()
    assert json.loads(line)["job_id"] == 1
