"""`flask jobs submit`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.queue.job import Job, Priority, Status
from app.queue.suppressions import Suppression
from tests.cli.conftest import Flask, Run

GREETING = '{"name": "Ada"}'


def job(app: Flask, job_id: int) -> Job:
    found: Job = app.extensions["inspector"].job(job_id)
    return found


def test_submit_says_the_id(flask: Run, app: Flask) -> None:
    result = flask("jobs", "submit", "web_greet", GREETING)

    assert (result.exit_code, result.stdout) == (0, "Job 1 submitted.\n")
    found = job(app, 1)
    assert (found.job_type, found.payload, found.status) == ("web_greet", GREETING, Status.PENDING)


def test_every_option_reaches_the_job(flask: Run, app: Flask) -> None:
    options = ["--priority", "high", "--delay", 60, "--tag", "a", "--tag", "b", "--max-retries", 9]
    result = flask("jobs", "submit", "web_noop", "{}", *options, "--json")

    answer = json.loads(result.stdout)
    assert (answer["id"], answer["created"]) == (1, True)
    assert answer["job"]["tags"] == ["a", "b"]
    found = job(app, 1)
    assert (found.priority, found.status, found.max_retries) == (
        Priority.HIGH,
        Status.SCHEDULED,
        9,
    )
    assert found.run_at == pytest.approx(found.created_at + 60)
    flask("jobs", "submit", "web_noop", "{}", "--run-at", "2090-01-31T09:00:00+01:00")
    assert job(app, 2).run_at == 3_789_532_800.0


def test_the_payload_comes_from_a_file_or_a_pipe(flask: Run, app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"name": "Grüße"}\n')

    assert flask("jobs", "submit", "web_greet", "--file", file).exit_code == 0
    assert flask("jobs", "submit", "web_greet", "-", input=GREETING).exit_code == 0

    assert job(app, 1).payload == '{"name": "Grüße"}\n'
    assert job(app, 2).payload == GREETING


def test_the_same_idempotency_key_answers_the_same_job(flask: Run) -> None:
    words = ("jobs", "submit", "web_greet", GREETING, "--idempotency-key", "k1")
    flask(*words)
    again = flask(*words)
    as_json = json.loads(flask(*words, "--json").stdout)
    other = flask("jobs", "submit", "web_greet", '{"name": "Bob"}', "--idempotency-key", "k1")

    assert again.exit_code == 0
    assert again.stdout == "Job 1 was submitted before with this idempotency key.\n"
    assert (as_json["id"], as_json["created"]) == (1, False)
    assert as_json["job"]["payload"] == GREETING
    assert other.exit_code == 1
    assert "belongs to job 1, which has other content" in other.stderr


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"job_type": "nothing", "payload": "{}"}, ["nothing", "{}"]),
        ({"job_type": "web_greet", "payload": "{}"}, ["web_greet", "{}"]),
        ({"job_type": "web_greet", "payload": "{"}, ["web_greet", "{"]),
        (
            {"job_type": "web_noop", "payload": "{}", "tags": ["a b"]},
            ["web_noop", "{}", "--tag", "a b"],
        ),
        (
            {"job_type": "web_noop", "payload": "{}", "delay_seconds": -1},
            ["web_noop", "{}", "--delay", "-1"],
        ),
        (
            {"job_type": "web_noop", "payload": "{}", "max_retries": 1001},
            ["web_noop", "{}", "--max-retries", "1001"],
        ),
        (
            {"job_type": "web_noop", "payload": "{}", "run_at": "tomorrow"},
            ["web_noop", "{}", "--run-at", "tomorrow"],
        ),
        (
            {"job_type": "web_noop", "payload": '"%s"' % ("x" * 1_048_577)},
            ["web_noop", '"%s"' % ("x" * 1_048_577)],
        ),
    ],
)
def test_what_the_api_refuses_is_refused_with_the_same_words(
    flask: Run, app: Flask, body: dict[str, Any], words: list[str]
) -> None:
    response = app.test_client().post("/api/process_query", json=body)
    result = flask("jobs", "submit", *words, "--json")
    in_words = flask("jobs", "submit", *words)

    assert response.status_code in (413, 422)
    assert (result.exit_code, in_words.exit_code, in_words.stdout) == (1, 1, "")
    assert json.loads(result.stdout) == {"id": None, "errors": response.get_json()["errors"]}
    for field in response.get_json()["errors"]:
        assert in_words.stderr.startswith(f"{field}")
    assert app.extensions["inspector"].stats()["total"] == 0


def test_nobody_on_the_suppression_list_gets_a_mail(flask: Run, app: Flask) -> None:
    entry = Suppression("ann@example.com", "asked not to", 0.0, "tests")
    app.extensions["suppressions"].add(entry)
    mail = json.dumps({"to": "ann@example.com", "subject": "Hi", "message": "Hello"})

    result = flask("jobs", "submit", "send_email", mail)

    assert result.exit_code == 1
    assert "payload.to: ann@example.com is on the suppression list" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["web_noop"],
        ["web_noop", "{}", "--file", __file__],
        ["web_noop", "--file", "/nowhere"],
        ["web_noop", "{}", "--priority", "medium"],
        ["web_noop", "{}", "--delay", "nan"],
        ["web_noop", "{}", "--delay", "soon"],
        [],
    ],
)
def test_a_wrong_command_line_ends_with_2(flask: Run, words: list[str]) -> None:
    assert flask("jobs", "submit", *words).exit_code == 2


def test_text_that_is_no_utf_8_and_a_key_with_strange_characters_are_refused(flask: Run) -> None:
    result = flask("jobs", "submit", "web_noop", "-", input=b'"\xff"')
    assert (result.exit_code, result.stderr) == (1, "payload: Must be UTF-8.\n")
    result = flask("jobs", "submit", "web_noop", "{}", "--idempotency-key", "ü")
    assert result.exit_code == 1
    assert "Idempotency-Key: Must be 1 to 255 printable ASCII" in result.stderr
