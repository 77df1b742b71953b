"""The web application on fakeredis: open, with a key, with passwords; and the queue's servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from app import create_app
from app.config import Config
from tests.api.conftest import (
    app,
    closed_redis,
    config,
    http,
    queue,
    source_for_fakeredis,
    submit,
)
from tests.dashboard.forms import Page
from tests.queue.conftest import store

__all__ = ["app", "closed_redis", "config", "http", "queue", "store", "submit"]

PASSWORD = "correct horse battery"
VIEWER_PASSWORD = "only looking at it"
ANNS_PASSWORD = "nobody knows Ann's"


@cache
def hashed(password: str) -> str:
    """Cheap to check; the format is the same."""
    return generate_password_hash(password, "scrypt:1024:8:1")


@pytest.fixture
def make_app(config: Config, fake_client: redis.Redis) -> Callable[..., Flask]:
    """The application with other settings, on the same store."""

    def make(**settings: Any) -> Flask:
        changed = replace(config, **settings)
        return create_app(changed, client=fake_client, source=source_for_fakeredis)

    return make


@pytest.fixture
def guarded(make_app: Callable[..., Flask]) -> Flask:
    """With an operator, a viewer, and a user with a name of her own."""
    return make_app(
        dashboard_password_hash=hashed(PASSWORD),
        dashboard_viewer_password_hash=hashed(VIEWER_PASSWORD),
        dashboard_users=(("ann", "operator", hashed(ANNS_PASSWORD)),),
    )


@pytest.fixture
def make_key(app: Flask) -> Callable[..., str]:
    """The text of a new API key in the store that all applications of a test share."""

    def make(*scopes: str, **rights: Any) -> str:
        _, text = app.extensions["api_keys"].create(
            "tests", scopes=scopes or ("admin",), by="tests", now=1.0, **rights
        )
        return str(text)

    return make


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def log_in(
    app: Flask, name: str = "operator", password: str = PASSWORD, **options: Any
) -> FlaskClient:
    """A browser in which this user is logged in."""
    http = app.test_client()
    response = try_to_log_in(http, name, password, **options)
    assert response.status_code == 303, response.text
    return http


def try_to_log_in(http: FlaskClient, name: str, password: str, **options: Any) -> Any:
    """Fills in the login form as a browser without JavaScript does."""
    form = Page(http.get(options.pop("page", "/login"), **options)).form("Log in")
    fields = {**dict(form.fields), "name": name, "password": password}
    return http.post(form.action, data=fields, **options)
