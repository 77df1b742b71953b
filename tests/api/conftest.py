"""The web application on fakeredis, and helpers to submit jobs and work on them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Config
from app.queue.jobqueue import JobQueue
from app.queue.scripts import script_source


@pytest.fixture
def config() -> Config:
    return replace(
        Config.load(env_file=None),
        job_modules=("tests.api.job_types",),
        max_retries=None,
        key_prefix="",
        secret_key="of the tests " * 3,
    )


@pytest.fixture
def app(config: Config, fake_client: redis.Redis) -> Flask:
    return create_app(config, client=fake_client, source=source_for_fakeredis)


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def queue(app: Flask) -> JobQueue:
    queue: JobQueue = app.extensions["queue"]
    return queue


@pytest.fixture
def closed_redis() -> str:
    """The URL of a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"redis://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def submit(http: FlaskClient) -> Callable[..., int]:
    """Submits a `web_noop` job, or what the fields say, over HTTP; returns its id."""

    def submit(**fields: Any) -> int:
        response = http.post(
            "/api/process_query", json={"job_type": "web_noop", "payload": {}} | fields
        )
        assert response.status_code == 200, response.text
        job_id: int = response.json["query_id"]
        return job_id

    return submit


def source_for_fakeredis(name: str) -> str:
    """fakeredis knows no `#!lua` line."""
    return script_source(name).split("\n", 1)[1]
