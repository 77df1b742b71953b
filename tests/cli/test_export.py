"""`flask jobs export`"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.cli.conftest import Flask, Run


@pytest.mark.usefixtures("some_jobs")
def test_export_writes_what_the_dashboard_exports(flask: Run, app: Flask) -> None:
    for form in ("csv", "jsonl"):
        result = flask("jobs", "export", "--format", form, "--tag", "a")

        response = app.test_client().get(f"/dashboard/export.{form}?tag=a")
        assert result.exit_code == 0
        assert result.stdout_bytes == response.data
        assert result.stderr == ""


def test_a_file_is_written_whole_and_its_name_tells_the_format(
    flask: Run, queue: JobQueue, tmp_path: Path
) -> None:
    queue.submit_many([NewJob("web_noop")] * 1_200)

    for name in ("jobs.csv", "jobs.jsonl"):
        result = flask("jobs", "export", "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"Wrote {tmp_path / name}.\n"

    rows = list(csv.DictReader(io.StringIO((tmp_path / "jobs.csv").read_text())))
    lines = (tmp_path / "jobs.jsonl").read_text().splitlines()
    assert [int(row["id"]) for row in rows] == list(range(1, 1_201))
    assert [json.loads(line)["id"] for line in lines] == list(range(1, 1_201))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.csv", "jobs.jsonl"]


def test_an_export_that_breaks_off_leaves_the_earlier_file(
    flask: Run, queue: JobQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit("web_noop")
    target = tmp_path / "jobs.csv"
    target.write_text("earlier")

    def interrupted(file: str, to: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.jobs.os.replace", interrupted)
    result = flask("jobs", "export", "-o", target)

    assert result.exit_code == 130
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_named(flask: Run, tmp_path: Path) -> None:
    result = flask("jobs", "export", "-o", tmp_path / "no" / "jobs.csv")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr
