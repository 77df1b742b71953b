"""`flask queue pause|resume|stats|repair|upgrade|copy|shards`."""

from __future__ import annotations

import json
from typing import Any

import click
from flask import current_app

from app.cli.filters import inspector, job_queue
from app.cli.output import (
    REFUSED,
    WRONG_USAGE,
    Commands,
    as_json,
    audit,
    fail,
    line,
    progress,
    say,
    table,
)
from app.queue.connection import connect
from app.queue.copying import LOSSLESS, copy_store
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.growth import grow
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.layout import SHARDS_MAX
from app.queue.opening import Store
from app.queue.schema import SCHEMA
from app.queue.sharded_jobqueue import ShardedJobQueue

queue = Commands("queue", help="Steer the queue, see how it is, mend it.")


@queue.command("pause")
@as_json
def pause(as_json: bool) -> None:
    """Stops handing out jobs. What is being processed ends; submissions go on.

    \b
    flask queue pause
    """
    changed = job_queue().pause()
    if changed:
        audit("pause", "the queue")
    said = "The queue is paused." if changed else "The queue was paused already."
    say({"paused": True, "changed": changed}, said, as_json)


@queue.command("resume")
@as_json
def resume(as_json: bool) -> None:
    """Hands out jobs again.

    \b
    flask queue resume
    """
    changed = job_queue().resume()
    if changed:
        audit("resume", "the queue")
    said = "The queue goes on." if changed else "The queue was not paused."
    say({"paused": False, "changed": changed}, said, as_json)


@queue.command("stats")
@as_json
def stats(as_json: bool) -> None:
    """Shows how much waits and for how long, what happened in the last minute, and the workers.

    \b
    flask queue stats --json | jq .oldest_pending_seconds
    """
    found = inspector().stats()
    say(found, _in_words(found), as_json)


@queue.command("repair")
@click.option("--dry-run", is_flag=True, help="Only show what is wrong; change nothing.")
@as_json
def repair(dry_run: bool, as_json: bool) -> None:
    """Checks every record and every index of the store, and mends what contradicts.

    It should find nothing, and ends with 1 when it did. Jobs go on meanwhile: it works in steps of
    about a hundred entries.

    \b
    flask queue repair --dry-run
    flask queue repair
    """
    found: list[str] = []
    try:
        with progress(job_queue().repair_size(), "Looking through the store") as advance:
            for step in job_queue().repair_steps(dry_run=dry_run):
                found += step.lines
                advance(step.looked_at)
    finally:
        if found and not dry_run:
            audit("repair", f"the queue: {len(found)} found")
    if as_json:
        click.echo(json.dumps({"found": len(found), "dry_run": dry_run, "lines": found}))
    else:
        _say_loudly(found, dry_run)
    if found:
        raise click.exceptions.Exit(REFUSED)


@queue.command("upgrade")
@as_json
def upgrade(as_json: bool) -> None:
    """Takes the store of an older version to this one's layout. `make run` does it by itself.

    Stop every API and worker first, and make a backup.

    \b
    flask queue upgrade
    """
    # The one command for which the store need not have the layout yet.
    found: JobQueue = current_app.extensions["queue"]
    try:
        passed = found.upgrade()
    except ServerUnsuitable as error:
        fail(str(error), REFUSED)
    if passed:
        audit("upgrade", f"the store, to schema {passed[-1]}")
    said = f"The store has schema {SCHEMA} now." if passed else "The store needs no upgrade."
    say({"schema": SCHEMA, "passed": passed}, said, as_json)


@queue.command("copy")
@click.argument("source", metavar="FROM")
@click.option("--prefix", default="", help="The KEY_PREFIX of the store that is copied.")
@as_json
def copy(source: str, prefix: str, as_json: bool) -> None:
    """Fills the store of the settings, which must be empty, with that of another server.

    FROM is its URL, as in REDIS_URL. Stop every API and worker of both first. The other store stays
    as it is. What was broken off is begun anew by the same command.

    \b
    flask queue copy redis://old.example.com:6379/0
    """
    options: dict[str, Any] = {
        "name": "mailroom-copy",
        "timeout_seconds": 30.0,
        "text_errors": LOSSLESS,
    }
    try:
        client = connect(source, slot_key=prefix, **options)
    except ValueError as error:
        fail(f"FROM: {error}", WRONG_USAGE)
    store = Store(current_app.extensions["config"], **options)
    keys = Keys(prefix)
    try:
        with progress(JobQueue(client, prefix=prefix).repair_size(), "Copying") as advance:
            copied = 0
            for step in copy_store(client, keys, store.client, store.queue.keys):
                copied += step
                advance(copied)
    except ServerUnsuitable as error:
        fail(str(error), REFUSED)
    finally:
        client.close()
        store.close()
    audit("copy", f"a store into this one: {copied} entries")
    say({"entries": copied}, f"Copied {copied:,} entries.", as_json)


@queue.command("shards")
@click.argument("number", type=click.IntRange(1, SHARDS_MAX), required=False)
@as_json
def shards(number: int | None, as_json: bool) -> None:
    """Shows the shards of the queue, or adds some until there are NUMBER.

    Adding works while the system runs: submissions wait a moment, and every process follows by
    itself. The same command finishes what was interrupted. There can't be fewer shards again.

    \b
    flask queue shards
    flask queue shards 4
    """
    # As for `upgrade`: the store need not have what the settings ask for.
    found: ShardedJobQueue = current_app.extensions["queue"]
    found.shards.refresh()
    before = found.shards.layout
    if number is not None:
        try:
            found.shards.home.ensure_schema()  # not, for one, where a copy was broken off
            grow(found.shards, number)
        except ServerUnsuitable as error:
            fail(str(error), REFUSED)
        if found.shards.layout != before:
            audit("shards", f"{before.shards} to {number}")
    rows = [_shard(found, at) for at in range(found.shards.layout.shards)]
    said = table([list(rows[0]), *([str(value) for value in row.values()] for row in rows)])
    eras = [{"first_id": era.first_id, "shards": era.shards} for era in found.shards.layout.eras]
    if number is not None:
        said += f"\nSet QUEUE_SHARDS={number} where processes are started from now on."
    say({"shards": rows, "eras": eras}, said, as_json)


def _shard(found: ShardedJobQueue, number: int) -> dict[str, Any]:
    part = found.parts()[number]
    row: dict[str, Any] = {"shard": number, "prefix": part.keys.prefix or "-"}
    store: Store = current_app.extensions["store"]
    try:
        slot, server = store.where(number)
        facts = part.shard_facts()
    except QueueUnavailable:
        return row | {"slot": "-", "server": "away", "last_id": "-", "pending": "-", "note": ""}
    is_so = facts.era == found.shards.layout.era.mark
    return row | {
        "slot": "-" if slot is None else slot,
        "server": server,
        "last_id": facts.last_id,
        "pending": facts.pending,
        "note": "" if is_so else "unfinished: add shards again",
    }


def _say_loudly(found: list[str], dry_run: bool) -> None:
    if not found:
        click.echo("The store is sound: nothing was found.")
        return
    done = "NOTHING WAS CHANGED (dry run)" if dry_run else "MENDED, but for what says otherwise"
    head = f"!!! THE STORE WAS DAMAGED: {len(found):,} found. {done}. !!!"
    click.secho(head, fg="red", bold=True)
    for text in found:
        click.echo(line(text))
    click.secho(head, fg="red", bold=True)


def _in_words(found: dict[str, Any]) -> str:
    oldest = found["oldest_pending_seconds"]
    rows = [
        ["paused", "yes" if found["paused"] else "no"],
        ["pending", f"{found['counts']['pending']:,}"],
        ["oldest pending", "-" if oldest is None else f"{oldest:,.1f} s"],
        ["processing", f"{found['counts']['processing']:,}"],
        ["failed, waiting", f"{found['counts']['failed']:,}"],
        ["workers alive", f"{found['workers_alive']:,}"],
    ]
    rows += [
        ["no mail goes out", line(f"{breaker['worker']}: {breaker['reason']}")]
        for breaker in found["breakers"]
    ]
    rows += [
        [f"{event.replace('_', ' ')} (last minute)", f"{count:,}"]
        for event, count in found["last_minute"].items()
        if count
    ]
    return table(rows)
