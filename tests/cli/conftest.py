"""The commands, run in this process against the embedded server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from click.testing import Result
from flask import Flask

from app import create_app
from app.config import Config
from app.queue.jobqueue import JobQueue
from tests.api.conftest import config
from tests.queue.steps import claim_one

__all__ = ["config"]

Run = Callable[..., Result]


@pytest.fixture
def app(config: Config, client: redis.Redis) -> Flask:
    return create_app(config, client=client)


@pytest.fixture
def queue(app: Flask) -> JobQueue:
    queue: JobQueue = app.extensions["queue"]
    return queue


@pytest.fixture
def flask(app: Flask) -> Run:
    """Runs `flask …`; `input` is what a person types, or a pipe brings."""

    def run(*words: object, input: str | bytes | None = None) -> Result:
        runner = app.test_cli_runner()
        return runner.invoke(args=[str(word) for word in words], input=input)

    return run


@pytest.fixture
def audited(app: Flask) -> Callable[[], list[tuple[str, str]]]:
    """What stands in the audit log, oldest first; each was done from the command line."""

    def read() -> list[tuple[str, str]]:
        entries = app.extensions["audit"].recent(100)[::-1]
        assert all(entry.who.startswith("cli:") for entry in entries)
        return [(entry.action, entry.subject) for entry in entries]

    return read


@pytest.fixture
def some_jobs(queue: JobQueue) -> None:
    """1 failed for good, 2 cancelled, 3 pending, 4 scheduled; the odd ones with the tag `a`."""
    queue.submit("web_noop", tags=("a",), title="Hello", people=("ann@example.com",))
    queue.fail(claim_one(queue), "550 no \x1b[31msuch mailbox", retry_in_ms=None)
    queue.submit("web_noop")
    queue.cancel(2)
    queue.submit("web_noop", '{"n": 3}', tags=("a",))
    queue.submit("web_noop", delay_ms=3_600_000)


def statuses(queue: JobQueue, app: Flask, *ids: int) -> list[Any]:
    return [app.extensions["inspector"].job(job_id).status for job_id in ids]
