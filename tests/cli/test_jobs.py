"""`flask jobs list|show|stats`"""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from tests.cli.conftest import Flask, JobQueue, Run

pytestmark = pytest.mark.usefixtures("some_jobs")


def ids(flask: Run, *words: str) -> list[int]:
    answer = json.loads(flask("jobs", "list", "--json", *words).stdout)
    return [job["id"] for job in answer["jobs"]]


def test_list_shows_a_line_for_each_job_newest_first(flask: Run) -> None:
    result = flask("jobs", "list")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split("  ")[0] == "ID"
    assert [line.split()[0] for line in lines[1:]] == ["4", "3", "2", "1"]
    assert "permanently failed" in lines[4] and "ann@example.com · Hello" in lines[4]
    assert result.stderr == "1-4 of 4; --page shows others.\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], [4, 3, 2, 1]),
        (["--asc"], [1, 2, 3, 4]),
        (["--status", "pending"], [3]),
        (["--tag", "a"], [3, 1]),
        (["--tag", "a", "--status", "pending"], [3]),
        (["-q", "ann@example.com"], [1]),
        (["-q", "hel"], [1]),
        (["--job-type", "web_greet"], []),
        (["--priority", "low", "--limit", "2", "--page", "2"], [2, 1]),
        (["--sort", "status", "--asc"], [2, 3, 1, 4]),
    ],
)
def test_list_finds_what_the_api_finds(flask: Run, words: list[str], found: list[int]) -> None:
    assert ids(flask, *words) == found


def test_list_in_json_has_jobs_as_the_api_has_them(flask: Run, app: Flask) -> None:
    answer = json.loads(flask("jobs", "list", "--json").stdout)

    http: FlaskClient = app.test_client()
    assert answer["jobs"] == http.get("/api/tasks").get_json()["tasks"]
    assert (answer["total"], answer["page"], answer["complete"]) == (4, 1, True)


def test_nothing_to_list_is_said(flask: Run) -> None:
    result = flask("jobs", "list", "--status", "success")
    assert (result.exit_code, result.stdout) == (0, "No job matches.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--status", "done"], "Invalid value for '--status'"),
        (["--limit", "201"], "Invalid value for '--limit'"),
        (["--page", "0"], "Invalid value for '--page'"),
        (["--sort", "payload"], "Invalid value for '--sort'"),
        (["--tag", "a b"], "tag: Must be 1 to 64 letters"),
        (["-q", "x" * 201], "q: Must have 1 to 200 characters."),
        (["--colour"], "No such option"),
    ],
)
def test_a_wrong_option_ends_with_2_and_says_what_is_allowed(
    flask: Run, words: list[str], said: str
) -> None:
    result = flask("jobs", "list", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_show_tells_everything_and_nothing_steers_the_terminal(flask: Run) -> None:
    result = flask("jobs", "show", 1)

    assert result.exit_code == 0
    assert result.stdout.startswith("Job 1\n")
    assert "ann@example.com" in result.stdout
    assert "550 no [31msuch mailbox" in result.stdout
    assert "\x1b" not in result.stdout
    assert "permanently_failed" in result.stdout.splitlines()[-1]


def test_show_in_json_has_the_history(flask: Run, app: Flask) -> None:
    answer = json.loads(flask("jobs", "show", 1, "--json").stdout)

    http: FlaskClient = app.test_client()
    history = answer.pop("history")
    assert answer == http.get("/api/job/status/1").get_json()["data"]
    assert history == http.get("/api/job/1/attempts").get_json()["data"]


def test_show_gives_the_payload_as_it_was_submitted(flask: Run) -> None:
    assert flask("jobs", "show", 3, "--payload").stdout == '{"n": 3}'


def test_a_job_that_is_not_there_ends_with_1(flask: Run) -> None:
    result = flask("jobs", "show", 9)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Job 9 not found.\n")
    assert flask("jobs", "show", "nine").exit_code == 2


def test_stats_count_each_status_and_job_type(flask: Run, queue: JobQueue) -> None:
    text = flask("jobs", "stats").stdout
    answer = json.loads(flask("jobs", "stats", "--json").stdout)

    assert "permanently failed  1\n" in text
    assert "web_noop: " in text and "submitted 4" in text
    assert (answer["total"], answer["counts"]["cancelled"]) == (4, 1)
    assert answer["by_type"]["web_noop"]["submitted"] == 4
