"""The pages for people, rendered on the server."""

from __future__ import annotations

from flask import Flask

from app.dashboard import (
    actions,
    audit,
    charts,
    durations,
    export,
    formats,
    job,
    mailbox,
    navigation,
    operations,
    suppressions,
    views,
    workers,
)
from app.dashboard.indentation import Unindented
from app.dashboard.visible import visible

# Each adds its routes to `views.bp` when it is imported.
PAGES = (actions, audit, charts, export, job, mailbox, operations, suppressions, workers)


def register(app: Flask) -> None:
    app.jinja_environment = Unindented
    app.register_blueprint(views.bp)
    app.add_template_filter(formats.ago)
    app.add_template_filter(formats.iso)
    app.add_template_filter(formats.label)
    app.add_template_filter(formats.number)
    app.add_template_filter(formats.row_time)
    app.add_template_filter(durations.duration)
    app.add_template_filter(durations.percent)
    app.add_template_filter(durations.size)
    app.add_template_filter(visible)
    app.add_template_global(navigation.pages)
    app.add_template_global(navigation.page_exists)
    app.add_template_global(navigation.server_time)
