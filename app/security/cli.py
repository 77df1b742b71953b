"""The commands about who may do what: `flask keys …`, `flask password`, `flask audit`.

Exit codes: 0 done; 1 there is no such key; 2 a wrong argument; 3 Redis is away.
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
from flask.cli import AppGroup, with_appcontext
from werkzeug.security import generate_password_hash

from app.queue.audit import ENTRIES_KEPT, Audit
from app.queue.errors import QueueError
from app.security.api_keys import QUOTA_MAX, SCOPES, ApiKey, ApiKeyNotFound, ApiKeys

NOT_FOUND = 1
REDIS_AWAY = 3
PASSWORD_MIN_CHARS = 12

keys = AppGroup("keys", help="API keys: who may call the API, and for what.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def register(app: Flask) -> None:
    app.cli.add_command(keys)
    app.cli.add_command(password)
    app.cli.add_command(audit_log)


@keys.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=["submit"],
    show_default=True,
    help="What the key may do; give it again for more. admin: everything.",
)
@click.option(
    "--sender",
    "senders",
    multiple=True,
    help="An address or domain its mails may come from; give it again for more. None: all.",
)
@click.option(
    "--daily-quota", type=click.IntRange(1, QUOTA_MAX), help="Jobs it may submit in a day (UTC)."
)
@_as_json
def create_key(
    name: str,
    scopes: tuple[str, ...],
    senders: tuple[str, ...],
    daily_quota: int | None,
    as_json: bool,
) -> None:
    """Makes a key and shows it, this one time.

    NAME says whose it is. With the first key, every call of the API needs one, for good.
    """
    with _refusals():
        key, text = _store().create(
            name,
            scopes=scopes,
            senders=senders,
            daily_quota=daily_quota,
            by=cli_user(),
            now=time.time(),
        )
        _audit("make key", _described(key))
    _show_new(key, text, as_json)


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@_as_json
def rotate_key(key_id: str, as_json: bool) -> None:
    """Makes a key with the same name and rights as the one with this ID.

    The old one works until it is revoked: give the new one to the application first.
    """
    with _refusals():
        key, text = _store().rotate(key_id, by=cli_user(), now=time.time())
        _audit("make key", f"{_described(key)} in place of {key_id}")
    _show_new(key, text, as_json)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@_as_json
def revoke_key(key_id: str, as_json: bool) -> None:
    """Ends a key. It stops working everywhere within two seconds."""
    with _refusals():
        key = _store().revoke(key_id, now=time.time())
        _audit("revoke key", _described(key))
    click.echo(json.dumps(_data(key)) if as_json else f"Key {_described(key)} is revoked.")


@keys.command("list")
@_as_json
def list_keys(as_json: bool) -> None:
    """Shows all keys, newest first, never their secrets."""
    with _refusals():
        found = _store().list()
    if as_json:
        shown = [_data(key) | {"last_used_at": used_at} for key, used_at in found]
        click.echo(json.dumps({"keys": shown}))
        return
    for key, used_at in found:
        used = f"used {_moment(used_at)}" if used_at else "never used"
        facts = [key.id, ",".join(key.scopes), f"made {_moment(key.created_at)}", used]
        facts += [f"from {','.join(key.senders)}"] if key.senders else []
        facts += [f"{key.daily_quota} jobs a day"] if key.daily_quota else []
        facts += [f"REVOKED {_moment(key.revoked_at)}"] if key.revoked_at else []
        click.echo("  ".join([*facts, key.name]))
    if not found:
        click.echo("No key was made: on this machine the API asks for none.", err=True)


@click.command("password")
@click.password_option(
    prompt=f"Password (at least {PASSWORD_MIN_CHARS} characters)", help="Asked for, if left out."
)
def password(password: str) -> None:
    """Prints the hash of a password, for DASHBOARD_PASSWORD_HASH and the like."""
    if len(password) < PASSWORD_MIN_CHARS:
        raise click.UsageError(f"The password must have at least {PASSWORD_MIN_CHARS} characters.")
    click.echo(generate_password_hash(password, "scrypt"))


@click.command("audit")
@click.option("--limit", type=click.IntRange(1, ENTRIES_KEPT), default=100, show_default=True)
@_as_json
@with_appcontext
def audit_log(limit: int, as_json: bool) -> None:
    """Shows who did what to which jobs, newest first."""
    with _refusals():
        entries = _audit_store().recent(limit)
    if as_json:
        click.echo(json.dumps({"entries": [asdict(entry) for entry in entries]}))
        return
    for entry in entries:
        click.echo(f"{_moment(entry.at)}  {entry.who}: {entry.action} {entry.subject}")


def cli_user() -> str:
    """Who sits at the terminal, for the audit log."""
    try:
        return f"cli {getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "cli"


def _show_new(key: ApiKey, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_data(key) | {"key": text}))
        return
    click.echo(text)
    click.echo(f"This is key {_described(key)}. It is not shown again: keep it now.", err=True)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ApiKeyNotFound as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(NOT_FOUND) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except QueueError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(REDIS_AWAY) from None


def _audit(action: str, subject: str) -> None:
    _audit_store().write(cli_user(), action, subject)


def _described(key: ApiKey) -> str:
    return f"{key.id} ({key.name}; {', '.join(key.scopes)})"


def _data(key: ApiKey) -> dict[str, Any]:
    fields = asdict(key)
    del fields["sha256"]
    return fields


def _moment(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%d %H:%M")


def _store() -> ApiKeys:
    found: ApiKeys = current_app.extensions["api_keys"]
    return found


def _audit_store() -> Audit:
    found: Audit = current_app.extensions["audit"]
    return found
