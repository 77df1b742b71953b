"""Job types: adding, finding and applying them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields

from app.jobs import (
    InvalidPayload,
    JobModuleError,
    JobType,
    UnknownJobType,
    find,
    job_type,
    known,
    load_job_types,
    max_retries_of,
    registry,
)
from app.queue.job import Job, Priority, Status
from tests.mail.support import Settings


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_job_types", dict(registry._job_types))
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module into the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))

    return write


def run(job: Job) -> None:
    """A job type's code."""


def load(*modules: str) -> None:
    load_job_types(Settings(job_modules=modules))


class Picture(Schema):
    width = fields.Integer(required=True, strict=True)
    tags = fields.List(fields.String())


def test_the_documented_example_works(write_module: Any) -> None:
    write_module(
        "my_jobs",
        """
        from marshmallow import Schema, fields

        class ResizeImageSchema(Schema):
            width = fields.Integer(required=True)

        from app.jobs import job_type

        @job_type("resize_image", schema=ResizeImageSchema, max_retries=5, timeout_seconds=60)
        def resize_image(job):
            ...            # job.id, job.data (validated payload), job.payload, job.retry_count
            return {"width": 640}      # becomes `result`
        """,
    )
    load("my_jobs")

    resize = find("resize_image")
    payload = '{"width": 640}'
    job = Job(1, "resize_image", payload, Priority.LOW, 0.0, Status.PROCESSING)
    job.data = resize.validate(payload)
    assert job.data == {"width": 640}
    assert resize.run(job) == {"width": 640}
    assert (resize.max_retries, resize.timeout_seconds) == (5, 60)
    assert known() == sorted(known())
    assert {"resize_image", "send_email"} <= set(known())


def test_the_function_stays_as_it_is() -> None:
    assert job_type("plain")(run) is run


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "a:b", "é", "x" * 65, "a\n"])
def test_a_name_that_can_not_be_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a job type"):
        job_type(name)


def test_a_rate_is_so_many_a_second() -> None:
    job_type("hurried", rate="90/min")(run)
    assert find("hurried").attempts_per_second == 1.5
    job_type("free")(run)
    assert find("free").attempts_per_second is None


@pytest.mark.parametrize("rate", ["", "20", "0/s", "20/day", "-1/s", "1.5/s", "x=20/s"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="not a rate like 20/s: a whole number from 1 to 999999"):
        job_type("hurried", rate=rate)


def test_two_functions_can_not_be_one_job_type() -> None:
    job_type("twice")(run)
    job_type("twice")(run)
    with pytest.raises(ValueError, match=r"twice.*test_registry\.run .*test_registry\.load") as e:
        job_type("twice")(load)  # type: ignore[type-var]
    assert "'twice'" in str(e.value)


def test_an_unknown_job_type_is_told_with_the_known_ones() -> None:
    job_type("here")(run)
    with pytest.raises(UnknownJobType) as raised:
        find("elsewhere")
    assert "here" in raised.value.known
    assert "elsewhere" in str(raised.value) and "here" in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "own", "configured", "expected"),
    [
        (None, None, None, 3),
        (None, None, 9, 9),
        (None, 5, 9, 5),
        (0, 5, 9, 0),
        (None, 0, 9, 0),
        (None, None, 0, 0),
    ],
)
def test_the_nearest_word_on_retries_counts(
    asked: int | None, own: int | None, configured: int | None, expected: int
) -> None:
    assert JobType("x", run, max_retries=own).max_retries_for(asked, configured) == expected


def test_the_retries_of_a_job_type_that_is_not_loaded_are_what_else_was_said() -> None:
    load()
    assert max_retries_of("send_email", None, None) == 20
    assert max_retries_of("gone", None, None) == 3
    assert max_retries_of("gone", None, 9) == 9
    assert max_retries_of("gone", 0, 9) == 0


def test_mail_is_tried_twenty_times_unless_the_settings_say_otherwise() -> None:
    load()
    assert find("send_email").max_retries_for(None, None) == 20
    assert find("send_email").max_retries_for(None, 3) == 3
    assert find("send_email").timeout_seconds == 1800


@pytest.mark.parametrize("strict", [True, False])
def test_a_payload_is_loaded_by_the_schema(strict: bool) -> None:
    picture = JobType("picture", run, Picture)
    assert picture.validate('{"width": 7}', strict=strict) == {"width": 7}
    with pytest.raises(InvalidPayload) as raised:
        picture.validate('{"width": "7", "tags": ["a", 1], "height": 2}', strict=strict)
    assert set(raised.value.errors) == {"width", "tags.1", "height"}
    assert all(isinstance(said, list) for said in raised.value.errors.values())


def test_without_a_schema_any_json_is_taken() -> None:
    anything = JobType("anything", run)
    for payload in ("{}", "[1, 2.5]", '"x"', "null"):
        anything.validate(payload)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("payload", ["", "{", "{'a': 1}", "[" * 100_000, "1" * 5_000])
def test_what_is_not_json_is_refused(payload: str, strict: bool) -> None:
    with pytest.raises(InvalidPayload) as raised:
        JobType("anything", run).validate(payload, strict=strict)
    assert list(raised.value.errors) == ["payload"]


@pytest.mark.parametrize(
    "payload",
    [
        "NaN",
        "[Infinity]",
        "-Infinity",
        "[1e999]",
        '{"a": 1, "a": 2}',
        '{"x": {"a": 1, "\\u0061": 2}}',
        "[" * 21 + "]" * 21,
        '"\\ud800"',
    ],
)
def test_json_that_programs_read_differently_is_refused_at_submission(payload: str) -> None:
    with pytest.raises(InvalidPayload) as raised:
        JobType("anything", run).validate(payload)
    assert list(raised.value.errors) == ["payload"]
    JobType("anything", run).validate(payload, strict=False)


def test_twenty_levels_are_enough() -> None:
    JobType("anything", run).validate("[" * 20 + "]" * 20)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f(:", "SyntaxError"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        (
            "from app.jobs import job_type\n@job_type('send_email')\ndef mine(job): ...",
            "broken_jobs.mine",
        ),
    ],
)
def test_a_module_that_fails_is_named_with_the_cause(
    write_module: Any, code: str, cause: str
) -> None:
    (Path.cwd() / "broken_jobs.py").write_text(code)
    with pytest.raises(JobModuleError) as raised:
        load("broken_jobs")
    assert raised.value.module == "broken_jobs"
    assert "broken_jobs" in str(raised.value) and cause in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(JobModuleError, match="No module named 'nowhere_jobs'"):
        load("nowhere_jobs")


def test_a_wrong_mail_setting_is_told() -> None:
    with pytest.raises(JobModuleError, match="MAIL_FROM"):
        load_job_types(Settings(mail_from="nobody"))


def test_a_wrong_webhook_is_told() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with pytest.raises(JobModuleError, match="WEBHOOK_URL: Must begin with https://"):
        load_job_types(Settings(webhook_url="http://hooks.example/", webhook_secret=secret))


def test_an_internal_job_type_is_found_but_not_among_those_to_submit() -> None:
    job_type("inner", internal=True)(run)

    assert find("inner").internal
    assert "inner" not in known()


def test_loading_again_is_no_error(write_module: Any) -> None:
    write_module("again", "from app.jobs import job_type\n@job_type('again')\ndef f(job): ...")
    load("again")
    load("again")
    assert find("again").run.__module__ == "again"
