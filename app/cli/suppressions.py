"""The commands: `flask suppressions …`, run beside `wsgi.py`.

Exit codes: 0 done; 1 the address is not on the list; 2 a wrong argument; 3 Redis is away.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getuser
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from app.jobs.suppression_address import read_suppression_address
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.suppressions import USUAL_REASON, Suppression, Suppressions

NOT_FOUND = 1
REDIS_AWAY = 3

suppressions = AppGroup("suppressions", help="Addresses to which no mail is sent any more.")


def register(app: Flask) -> None:
    app.cli.add_command(suppressions)


class SuppressionAddress(click.ParamType):
    """A mail address, as the list has it."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return read_suppression_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


@suppressions.command("list")
@click.option("-q", help="Only addresses that contain this.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@_as_json
def list_suppressions(q: str | None, limit: int, as_json: bool) -> None:
    """Shows the list, newest first."""
    with _redis_or_exit():
        page = _store().page(q, limit=limit)
    if as_json:
        found = [asdict(entry) for entry in page.found]
        click.echo(json.dumps({"total": page.total, "suppressions": found}))
        return
    for entry in page.found:
        moment = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%d %H:%M")
        click.echo(f"{entry.address}  {moment}  {entry.reason}")
    if page.total > len(page.found):
        click.echo(f"{len(page.found)} of {page.total} shown; --limit shows more.", err=True)


@suppressions.command("add")
@click.argument("address", type=SuppressionAddress())
@click.option("--reason", default=USUAL_REASON, show_default=True)
@_as_json
def add_suppression(address: str, reason: str, as_json: bool) -> None:
    """Puts an address on the list, or gives it another reason."""
    entry = Suppression(address, reason, time.time(), _who())
    with _redis_or_exit():
        is_new = _store().add(entry)
        current_app.extensions["audit"].write(_who(), "suppress", address)
    said = "is on the list now" if is_new else "was on the list already"
    click.echo(json.dumps({"added": is_new, **asdict(entry)}) if as_json else f"{address} {said}.")


@suppressions.command("remove")
@click.argument("address", type=SuppressionAddress())
@_as_json
def remove_suppression(address: str, as_json: bool) -> None:
    """Takes an address off the list."""
    with _redis_or_exit():
        removed = _store().remove(address)
        if removed:
            current_app.extensions["audit"].write(_who(), "unsuppress", address)
    said = "is off the list" if removed else "is not on the list"
    result = {"removed": removed, "address": address}
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"{address} {said}.", err=not removed)
    if not removed:
        raise click.exceptions.Exit(NOT_FOUND)


@contextmanager
def _redis_or_exit() -> Iterator[None]:
    try:
        yield
    except (QueueUnavailable, ServerUnsuitable) as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(REDIS_AWAY) from None


def _store() -> Suppressions:
    found: Suppressions = current_app.extensions["suppressions"]
    return found


def _who() -> str:
    try:
        return f"cli {getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "cli"
