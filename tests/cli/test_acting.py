"""`flask jobs retry|cancel|delete`, by ids and by filters."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from tests.cli.conftest import Flask, Run, statuses
from tests.queue.steps import claim_one

Audited = Callable[[], list[tuple[str, str]]]


@pytest.mark.usefixtures("some_jobs")
def test_jobs_are_retried_and_cancelled_by_their_ids(
    flask: Run, app: Flask, queue: JobQueue, audited: Audited
) -> None:
    retried = flask("jobs", "retry", 1, 2, 1)
    cancelled = flask("jobs", "cancel", 3, "--json")

    assert (retried.exit_code, retried.stdout) == (0, "Job 1: retried.\nJob 2: retried.\n")
    assert json.loads(cancelled.stdout) == {
        "jobs": [{"id": 3, "done": True, "outcome": "cancelled"}]
    }
    assert statuses(queue, app, 1, 2, 3) == ["pending", "pending", "cancelled"]
    assert audited() == [("retry", "job 1"), ("retry", "job 2"), ("cancel", "job 3")]


@pytest.mark.usefixtures("some_jobs")
def test_what_its_status_forbids_or_is_not_there_ends_with_1_and_the_others_are_done(
    flask: Run, app: Flask, queue: JobQueue, audited: Audited
) -> None:
    result = flask("jobs", "retry", 3, 9, 2)

    assert (result.exit_code, result.stdout) == (1, "Job 2: retried.\n")
    assert result.stderr.splitlines() == ["Cannot retry job 3: it is pending.", "Job 9 not found."]
    assert audited() == [("retry", "job 2")]


def test_the_worker_of_a_processing_job_is_asked(flask: Run, queue: JobQueue) -> None:
    queue.submit("web_noop")
    claim_one(queue)

    assert flask("jobs", "cancel", 1).stdout == "Job 1: its worker was asked to stop.\n"


@pytest.mark.usefixtures("some_jobs")
@pytest.mark.parametrize("words", [["2"], ["--status", "cancelled"]])
@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 3), ("n\n", 1, 4), ("", 1, 4)])
def test_deleting_asks_first(
    flask: Run, app: Flask, words: list[str], typed: str, code: int, left: int
) -> None:
    result = flask("jobs", "delete", *words, input=typed)

    assert result.exit_code == code
    assert "Delete 1 job" in result.stderr
    assert app.extensions["inspector"].stats()["total"] == left


@pytest.mark.usefixtures("some_jobs")
def test_a_filter_acts_on_what_its_preview_promised(
    flask: Run, app: Flask, queue: JobQueue, audited: Audited
) -> None:
    result = flask("jobs", "retry", "--tag", "a", input="y\n")

    assert result.exit_code == 0
    assert "Retry 1 job (1 more match, but their status forbids it)? [y/N]" in result.stderr
    assert result.stdout == "1 job retried, 1 skipped.\n"
    assert statuses(queue, app, 1, 2, 3) == ["pending", "cancelled", "pending"]
    assert audited() == [("retry", "all jobs with tag a, operation 1")]
    assert app.extensions["operations"].get(1).by.startswith("cli:")


@pytest.mark.usefixtures("some_jobs")
def test_in_json_the_operation_is_told(flask: Run) -> None:
    answer = json.loads(flask("jobs", "delete", "--all", "--yes", "--json").stdout)

    assert answer == {
        "total": 4,
        "able": 4,
        "complete": True,
        "operation": {"id": 1, "status": "done"},
        "done": 4,
        "skipped": 0,
    }


@pytest.mark.usefixtures("some_jobs")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "success"], "No job matches."),
        (["--status", "pending"], "None of 1 can be."),
    ],
)
def test_nothing_to_do_is_no_error_and_starts_nothing(
    flask: Run, app: Flask, words: list[str], said: str
) -> None:
    result = flask("jobs", "retry", *words)

    assert (result.exit_code, result.stdout) == (0, f"Nothing to be retried. {said}\n")
    assert app.extensions["operations"].recent() == []


@pytest.mark.parametrize("action", ["retry", "cancel", "delete"])
@pytest.mark.parametrize(
    "words", [[], ["1", "--all"], ["1", "--tag", "a"], ["--all", "--tag", "a"]]
)
def test_it_must_be_said_which_jobs_in_one_way(flask: Run, action: str, words: list[str]) -> None:
    result = flask("jobs", action, *words, "--yes")
    assert result.exit_code == 2
    assert "Give either ids, or filters, or --all." in result.stderr


def test_ctrl_c_stops_it_between_two_chunks(
    flask: Run, app: Flask, queue: JobQueue, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit_many([NewJob("web_noop")] * 1_000)
    operate, chunks = queue.operate, iter(range(100))

    def press_at_the_third(limit: int) -> bool:
        if next(chunks) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return operate(limit)

    monkeypatch.setattr(queue, "operate", press_at_the_third)
    before = signal.getsignal(signal.SIGINT)
    result = flask("jobs", "delete", "--all", "--yes")

    assert result.exit_code == 130
    assert "Stopped: 300 jobs deleted; the others are as they were." in result.stderr
    assert app.extensions["operations"].get(1).status == "stopped"
    assert app.extensions["inspector"].stats()["total"] == 700
    assert audited()[-1] == ("stop", "operation 1")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_operation_that_another_person_stops_ends_with_1(
    flask: Run, app: Flask, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit_many([NewJob("web_noop")] * 300)
    operate = queue.operate

    def operate_and_stop(limit: int) -> bool:
        running = operate(limit)
        app.extensions["operations"].stop(1)
        return running

    monkeypatch.setattr(queue, "operate", operate_and_stop)
    result = flask("jobs", "delete", "--all", "--yes")

    assert result.exit_code == 1
    assert result.stdout == "Operation 1 was stopped: 100 jobs deleted, 0 skipped.\n"
