"""`flask password` and `flask audit`: who may use the dashboard, and who did what."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext
from werkzeug.security import generate_password_hash

from app.cli.output import EXIT_CODES, as_json, errors_in_words, line, moment
from app.queue.audit import ENTRIES_KEPT, Audit

PASSWORD_MIN_CHARS = 12


@click.command("password")
@click.password_option(
    prompt=f"Password (at least {PASSWORD_MIN_CHARS} characters)", help="Asked for, if left out."
)
def password(password: str) -> None:
    """Prints the hash of a password, for DASHBOARD_PASSWORD_HASH and the like."""
    if len(password) < PASSWORD_MIN_CHARS:
        raise click.UsageError(f"The password must have at least {PASSWORD_MIN_CHARS} characters.")
    click.echo(generate_password_hash(password, "scrypt"))


@click.command("audit", epilog=EXIT_CODES)
@click.option("--limit", type=click.IntRange(1, ENTRIES_KEPT), default=100, show_default=True)
@as_json
@with_appcontext
def audit_log(limit: int, as_json: bool) -> None:
    """Shows who did what to which jobs, newest first."""
    audit: Audit = current_app.extensions["audit"]
    with errors_in_words():
        entries = audit.recent(limit)
    if as_json:
        click.echo(json.dumps({"entries": [asdict(entry) for entry in entries]}))
        return
    for entry in entries:
        said = line(f"{entry.who}: {entry.action} {entry.subject}")
        click.echo(f"{moment(entry.at)}  {said}")
