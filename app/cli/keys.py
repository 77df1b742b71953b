"""`flask keys …`: who may call the API, and for what."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import click
from flask import current_app

from app.cli.output import Commands, as_json, audit, moment, say, who
from app.security.api_keys import QUOTA_MAX, SCOPES, ApiKey, ApiKeys

keys = Commands("keys", help="API keys: who may call the API, and for what.")


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
@as_json
def create_key(
    name: str,
    scopes: tuple[str, ...],
    senders: tuple[str, ...],
    daily_quota: int | None,
    as_json: bool,
) -> None:
    """Makes a key and shows it, this one time.

    NAME says whose it is. With the first key, every call of the API needs one, for good.

    \b
    flask keys create shop --scope submit --scope read
    flask keys create newsletter --sender news.example --daily-quota 5000
    """
    try:
        key, text = _store().create(
            name,
            scopes=scopes,
            senders=senders,
            daily_quota=daily_quota,
            by=who(),
            now=time.time(),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    audit("make key", _described(key))
    _show_new(key, text, as_json)


@keys.command("rotate")
@click.argument("key_id", metavar="ID")
@as_json
def rotate_key(key_id: str, as_json: bool) -> None:
    """Makes a key with the same name and rights as the one with this ID.

    The old one works until it is revoked: give the new one to the application first.

    \b
    flask keys rotate 1d9bf7f3
    """
    try:
        key, text = _store().rotate(key_id, by=who(), now=time.time())
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    audit("make key", f"{_described(key)} in place of {key_id}")
    _show_new(key, text, as_json)


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@as_json
def revoke_key(key_id: str, as_json: bool) -> None:
    """Ends a key. It stops working everywhere within two seconds.

    \b
    flask keys revoke 1d9bf7f3
    """
    key = _store().revoke(key_id, now=time.time())
    audit("revoke key", _described(key))
    say(_data(key), f"Key {_described(key)} is revoked.", as_json)


@keys.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """Shows all keys, newest first, never their secrets.

    \b
    flask keys list --json
    """
    found = _store().list()
    if as_json:
        shown = [_data(key) | {"last_used_at": used_at} for key, used_at in found]
        click.echo(json.dumps({"keys": shown}))
        return
    for key, used_at in found:
        used = f"used {moment(used_at)}" if used_at else "never used"
        facts = [key.id, ",".join(key.scopes), f"made {moment(key.created_at)}", used]
        facts += [f"from {','.join(key.senders)}"] if key.senders else []
        facts += [f"{key.daily_quota} jobs a day"] if key.daily_quota else []
        facts += [f"REVOKED {moment(key.revoked_at)}"] if key.revoked_at else []
        click.echo("  ".join([*facts, key.name]))
    if not found:
        click.echo("No key was made: on this machine the API asks for none.", err=True)


def _show_new(key: ApiKey, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_data(key) | {"key": text}))
        return
    click.echo(text)
    click.echo(f"This is key {_described(key)}. It is not shown again: keep it now.", err=True)


def _described(key: ApiKey) -> str:
    return f"{key.id} ({key.name}; {', '.join(key.scopes)})"


def _data(key: ApiKey) -> dict[str, Any]:
    fields = asdict(key)
    del fields["sha256"]
    return fields


def _store() -> ApiKeys:
    found: ApiKeys = current_app.extensions["api_keys"]
    return found
