"""The same web application as the API's tests have, and a person who presses its buttons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.queue.inspector import Inspector
from tests.api.conftest import app, config, http, queue, submit
from tests.dashboard.forms import Page, follow

__all__ = ["app", "config", "http", "queue", "submit"]


@pytest.fixture
def inspector(app: Flask) -> Inspector:
    found: Inspector = app.extensions["inspector"]
    return found


@pytest.fixture
def press(http: FlaskClient) -> Callable[..., Page]:
    """Presses a button of a page, and follows to where it leads."""

    def press(url: str, button: str, *, ticked: tuple[int, ...] = ()) -> Page:
        form = Page(http.get(url)).form(button)
        return Page(follow(http, form.send(http, button, ticked=ticked)))

    return press
