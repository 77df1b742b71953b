"""Settings for events, forgotten after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.jobs import webhook_settings
from tests.jobs.receiver import SECRET
from tests.mail.conftest import make_mailer
from tests.mail.support import Settings

__all__ = ["make_mailer"]

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """`configure(**settings)`: with a secret, and private addresses allowed."""
    monkeypatch.setattr(webhook_settings, "_settings", webhook_settings.WebhookSettings())

    def configure(**settings: Any) -> None:
        usual = {"webhook_secret": SECRET, "webhook_allow_private": True}
        webhook_settings.configure(Settings(**(usual | settings)))

    yield configure
