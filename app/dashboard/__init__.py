"""The pages for people, rendered on the server."""

from __future__ import annotations

from flask import Flask

from app.dashboard import formats, views


def register(app: Flask) -> None:
    app.register_blueprint(views.bp)
    app.add_template_filter(formats.ago)
    app.add_template_filter(formats.iso)
    app.add_template_filter(formats.label)
    app.add_template_filter(formats.number)
