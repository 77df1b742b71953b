"""`flask suppressions …`: addresses to which no mail is sent any more."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import click
from flask import current_app

from app.cli.output import REFUSED, Commands, as_json, audit, line, moment, say, who
from app.jobs.suppression_address import read_suppression_address
from app.queue.suppressions import USUAL_REASON, Suppression, Suppressions

suppressions = Commands("suppressions", help="Addresses to which no mail is sent any more.")


class SuppressionAddress(click.ParamType):
    """A mail address, as the list has it."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return read_suppression_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@suppressions.command("list")
@click.option("-q", help="Only addresses that contain this.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@as_json
def list_suppressions(q: str | None, limit: int, as_json: bool) -> None:
    """Shows the list, newest first.

    \b
    flask suppressions list -q @example.com
    """
    page = _store().page(q, limit=limit)
    lines = [f"{s.address}  {moment(s.at)[:16]}  {line(s.reason)}" for s in page.found]
    answer = {"total": page.total, "suppressions": [asdict(entry) for entry in page.found]}
    if as_json or lines:
        say(answer, "\n".join(lines), as_json)
    if page.total > len(page.found) and not as_json:
        click.echo(f"{len(page.found)} of {page.total} shown; --limit shows more.", err=True)


@suppressions.command("add")
@click.argument("address", type=SuppressionAddress())
@click.option("--reason", default=USUAL_REASON, show_default=True)
@as_json
def add_suppression(address: str, reason: str, as_json: bool) -> None:
    """Puts an address on the list, or gives it another reason.

    \b
    flask suppressions add ann@example.com --reason "asked not to"
    """
    entry = Suppression(address, reason, time.time(), who())
    is_new = _store().add(entry)
    audit("suppress", address)
    said = "is on the list now" if is_new else "was on the list already"
    say({"added": is_new, **asdict(entry)}, f"{address} {said}.", as_json)


@suppressions.command("remove")
@click.argument("address", type=SuppressionAddress())
@as_json
def remove_suppression(address: str, as_json: bool) -> None:
    """Takes an address off the list.

    \b
    flask suppressions remove ann@example.com
    """
    removed = _store().remove(address)
    if removed:
        audit("unsuppress", address)
    result = {"removed": removed, "address": address}
    if removed or as_json:
        say(result, f"{address} is off the list.", as_json)
    else:
        click.echo(f"{address} is not on the list.", err=True)
    if not removed:
        raise click.exceptions.Exit(REFUSED)


def _store() -> Suppressions:
    found: Suppressions = current_app.extensions["suppressions"]
    return found
