"""Where the process's settings for events are, for all that need them."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Protocol

from app.jobs import public_http

EVENTS = ("sent", "deferred", "bounced", "failed")


class EventSettings(Protocol):
    """What events need of the settings; `Config` has it. See `sample.env`."""

    @property
    def webhook_url(self) -> str: ...
    @property
    def webhook_secret(self) -> str: ...
    @property
    def webhook_events(self) -> tuple[str, ...]: ...
    @property
    def webhook_allow_private(self) -> bool: ...
    @property
    def retry_base_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    url: str = ""  # for all mails that name none
    # Each signs: while receivers change from one to the next, both do. None: nothing can be signed,
    # so nothing is sent.
    keys: tuple[bytes, ...] = ()
    events: tuple[str, ...] = EVENTS
    allow_private: bool = False
    retry_base_seconds: float = 30.0  # scales all delays


_settings = WebhookSettings()


def configure(config: EventSettings) -> None:
    """Raises ValueError, naming the variable, when WEBHOOK_URL can't be used."""
    global _settings
    secrets = re.split(r"[\s,]+", config.webhook_secret.strip())
    asked = WebhookSettings(
        config.webhook_url,
        tuple(base64.b64decode(secret.partition("_")[2]) for secret in secrets if secret),
        config.webhook_events,
        config.webhook_allow_private,
        config.retry_base_seconds,
    )
    if asked.url:
        try:
            _check(asked.url, asked)
        except ValueError as error:
            raise ValueError(f"WEBHOOK_URL: {error}") from None
    _settings = asked


def settings() -> WebhookSettings:
    return _settings


def check_webhook(url: str) -> str:
    """The same URL. Raises ValueError when no event could be sent there."""
    return _check(url, _settings)


def _check(url: str, settings: WebhookSettings) -> str:
    if not settings.keys:
        raise ValueError("Events can't be signed here: WEBHOOK_SECRET is not set.")
    public_http.check_url(url, allow_private=settings.allow_private)
    return url
