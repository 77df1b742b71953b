"""What keeps strangers out of the web application: the secret key, and CSRF protection."""

from __future__ import annotations

from flask import Flask

from app.config import Config
from app.security import csrf
from app.security.secret_key import secret_key


def register(app: Flask, config: Config) -> None:
    """Raises ConfigError when there is no secret key and none can be kept."""
    app.config.update(
        SECRET_KEY=secret_key(config),
        # Cookies know no ports: two copies on one host must not overwrite each other's.
        SESSION_COOKIE_NAME=f"mailroom_{config.port}",
        SESSION_COOKIE_SAMESITE="Lax",
    )
    csrf.register(app)
