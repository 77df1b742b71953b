"""The commands for people at a terminal: `flask jobs …`, `flask keys …` and the others.

`docs/cli.md` shows them at work.
"""

from __future__ import annotations

from flask import Flask

from app.cli import acting, jobs, keys, people, queue, submit, suppressions


def register(app: Flask) -> None:
    # These have their commands on the same group.
    assert acting.jobs is submit.jobs is jobs.jobs
    for command in (
        *(jobs.jobs, queue.queue, suppressions.suppressions, keys.keys),
        *(people.password, people.audit_log),
    ):
        app.cli.add_command(command)
