"""The JSON API: `views` parse, call and answer; `errors` turns what is raised into answers."""

from __future__ import annotations

from flask import Flask

from app.api import errors, health, views


def register(app: Flask) -> None:
    app.register_blueprint(views.bp)
    app.register_blueprint(health.bp)
    errors.register(app)
