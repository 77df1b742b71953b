"""Lines on stderr: their two formats, what they concern, and text from strangers in them."""

from __future__ import annotations

import json
import logging
import logging.config
from typing import Any

import pytest

from app.logs import JsonFormatter, TextFormatter, concerning, settings


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "app.x", "levelname": "WARNING", "msg": message, "args": args, "created": 1.0625}
    )
    made.__dict__.update(more)
    return made


def failing() -> Any:
    try:
        raise ValueError("a\nb\x1b[2K")
    except ValueError as error:
        return type(error), error, error.__traceback__


def test_a_text_line_has_time_level_logger_and_message() -> None:
    line = TextFormatter().format(record("Job %d failed", 7))

    assert line == "1970-01-01T00:00:01.062Z WARNING app.x: Job 7 failed"


def test_a_json_line_is_one_object() -> None:
    line = json.loads(JsonFormatter().format(record("Job %d failed", 7)))

    pid = line.pop("pid")
    assert isinstance(pid, int)
    assert line == {
        "time": "1970-01-01T00:00:01.062Z",
        "level": "WARNING",
        "logger": "app.x",
        "message": "Job 7 failed",
    }


def test_what_a_line_concerns_is_said_inside_and_not_after() -> None:
    with concerning(request_id="r1", job_id=None), concerning(job_id=7):
        text = TextFormatter().format(record("Hello"))
        found = json.loads(JsonFormatter().format(record("Hello")))
    after = TextFormatter().format(record("Hello"))

    assert text.endswith("Hello [request_id=r1 job_id=7]")
    assert (found["request_id"], found["job_id"]) == ("r1", 7)
    assert after.endswith("Hello")


@pytest.mark.parametrize(
    "text", ["a\nFORGED line", "\r\x1b[2Kgone", "\x9b31m", "a\u202eb", "a\u2028b", "\x00"]
)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_text_from_strangers_stays_in_its_line(formatter: logging.Formatter, text: str) -> None:
    with concerning(request_id=text):
        line = formatter.format(record("SMTP said %s", text))

    assert line.isprintable()


def test_a_traceback_keeps_its_lines_but_no_control_characters() -> None:
    text = TextFormatter().format(record("Job failed", exc_info=failing()))
    line = JsonFormatter().format(record("Job failed", exc_info=failing()))

    assert text.splitlines()[1] == "Traceback (most recent call last):"
    assert all(part.isprintable() for part in text.split("\n"))
    assert "ValueError" in json.loads(line)["exception"]
    assert line.isprintable()


@pytest.mark.parametrize(("name", "made"), [("text", TextFormatter), ("json", JsonFormatter)])
def test_the_settings_choose_the_format(name: str, made: type) -> None:
    asked = settings("INFO", name)

    assert asked["formatters"]["lines"]["()"] is made
    assert asked["root"] == {"level": "INFO", "handlers": ["stderr"]}


@pytest.mark.parametrize("form", [TextFormatter, JsonFormatter])
def test_no_secret_gets_into_a_line(form: type[logging.Formatter]) -> None:
    """Of the message, of what it concerns, of an exception."""
    asked = settings("INFO", "text", ["xyzzy-plugh"])["formatters"]["lines"]["masks"]
    try:
        raise RuntimeError("redis://:hunter22@db:6379 is away; xyzzy-plugh")
    except RuntimeError as error:
        failed = type(error), error, error.__traceback__
    with concerning(request_id="xyzzy-plugh"):
        line = form(masks=asked).format(  # type: ignore[call-arg]
            record("password=%s", "hunter22", fields={"why": "xyzzy-plugh"}, exc_info=failed)
        )

    assert "hunter22" not in line and "xyzzy" not in line
    assert line.count("***") == 7  # also in the source line of the traceback
