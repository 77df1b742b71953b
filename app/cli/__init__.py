"""The commands for people at a terminal: `flask jobs …`, `flask queue …`, `flask suppressions …`.

`docs/cli.md` shows them at work.
"""

from __future__ import annotations

from flask import Flask

from app.cli import acting, jobs, queue, submit, suppressions


def register(app: Flask) -> None:
    # These have their commands on the same group.
    assert acting.jobs is submit.jobs is jobs.jobs
    for group in (jobs.jobs, queue.queue, suppressions.suppressions):
        app.cli.add_command(group)
