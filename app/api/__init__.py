"""The JSON API: `views` parse, call and answer; `errors` turns what is raised into answers."""

from __future__ import annotations

from flask import Flask

from app.api import actions, docs, errors, health, suppressions, views


def register(app: Flask, error_page: errors.ErrorPage) -> None:
    # These have their endpoints on the same blueprint.
    assert actions.bp is docs.bp is suppressions.bp is views.bp
    app.register_blueprint(views.bp)
    app.register_blueprint(health.bp)
    errors.register(app, error_page)
