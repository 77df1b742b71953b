"""`flask jobs retry|cancel|delete`: by ids, or all that match, as an operation with progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from app.cli.filters import filters, job_id, job_queue, operations, read_query
from app.cli.jobs import jobs
from app.cli.output import (
    INTERRUPTED,
    REFUSED,
    as_json,
    audit,
    confirm,
    ctrl_c_as_a_flag,
    fail,
    progress,
    say,
    who,
)
from app.queue.errors import JobNotFound, QueueUnavailable, WrongStatus
from app.queue.inspector import JobQuery
from app.queue.operations import Action, Operation

CHUNK = 100

_DONE = {"retry": "retried", "cancel": "cancelled", "delete": "deleted"}


def _action(action: Action, help: str) -> None:
    """Adds the command of one action; all three take the same."""

    @jobs.command(action, help=help)
    @click.argument("ids", type=job_id, nargs=-1)
    @filters
    @click.option("--all", "every", is_flag=True, help="Every job there is.")
    @click.option("--yes", is_flag=True, help="Don't ask.")
    @as_json
    def command(
        ids: tuple[int, ...], every: bool, yes: bool, as_json: bool, **given: str | None
    ) -> None:
        query = read_query(given, limit=1)
        if [bool(ids), every, bool(query.filters)].count(True) != 1:
            raise click.UsageError("Give either ids, or filters, or --all.")
        if ids:
            _act_on_ids(action, tuple(dict.fromkeys(ids)), yes, as_json)
        else:
            _act_on_all(action, query, yes, as_json)


_action(
    "retry",
    """Makes failed, given-up or cancelled jobs pending now, whatever their attempts so far.

    \b
    flask jobs retry 42 43
    flask jobs retry --status permanently_failed --tag invoices
    """,
)
_action(
    "cancel",
    """Cancels jobs that wait. The workers of processing ones are asked to stop.

    \b
    flask jobs cancel 42
    flask jobs cancel --status scheduled --job-type send_email --yes
    """,
)
_action(
    "delete",
    """Forgets jobs, with their payloads and history. Nothing brings them back.

    \b
    flask jobs delete 42
    flask jobs delete --status cancelled --yes
    """,
)


def _act_on_ids(action: Action, ids: tuple[int, ...], yes: bool, as_json: bool) -> None:
    if action == "delete":
        confirm(f"Delete {_jobs(len(ids))} for ever?", yes)
    answers = []
    for one in ids:
        try:
            outcome = _act(action, one)
        except (JobNotFound, WrongStatus) as error:
            answers.append({"id": one, "done": False, "outcome": str(error)})
            click.echo(str(error), err=True)
            continue
        audit(action, f"job {one}")
        answers.append({"id": one, "done": True, "outcome": outcome})
        if not as_json:
            click.echo(f"Job {one}: {outcome}.")
    if as_json:
        say({"jobs": answers}, "", as_json)
    if not all(answer["done"] for answer in answers):
        raise click.exceptions.Exit(REFUSED)


def _act(action: Action, one: int) -> str:
    """What was done, in words. Raises JobNotFound, WrongStatus."""
    act: Callable[[int], bool | None] = getattr(job_queue(), action)
    return "its worker was asked to stop" if act(one) is False else _DONE[action]


def _act_on_all(action: Action, query: JobQuery, yes: bool, as_json: bool) -> None:
    found = operations().preview(action, query)
    more = "" if found.complete else " or more"
    answer: dict[str, Any] = {**asdict(found), "operation": None}
    if not found.able and found.complete:
        none = "No job matches." if not found.total else f"None of {found.total:,} can be."
        say(answer, f"Nothing to be {_DONE[action]}. {none}", as_json)
        return
    skipped = found.total - found.able
    also = f" ({skipped:,} more match, but their status forbids it)" if skipped else ""
    confirm(f"{action.capitalize()} {_jobs(found.able)}{more}{also}?", yes)
    ended = _run(action, query, found.total)
    answer["operation"] = {name: getattr(ended, name) for name in ("id", "status")}
    answer |= {"done": ended.done, "skipped": ended.skipped}
    text = f"{_jobs(ended.done)} {_DONE[action]}, {ended.skipped:,} skipped."
    if ended.status == "stopped":
        text = f"Operation {ended.id} was stopped: {text}"
    say(answer, text, as_json)
    if ended.status == "stopped":
        raise click.exceptions.Exit(REFUSED)


def _run(action: Action, query: JobQuery, total: int) -> Operation:
    """Does it, together with the workers. Ctrl-C stops it between two chunks."""
    with ctrl_c_as_a_flag() as pressed:
        operation_id = operations().start(action, query, who())
        audit(action, f"{query.in_words}, operation {operation_id}")
        try:
            ended = _drive(operation_id, total, f"{action.capitalize()} jobs", pressed)
        except QueueUnavailable:
            click.echo(f"Operation {operation_id} goes on by itself when Redis is back.", err=True)
            raise
        if ended is None:
            operations().stop(operation_id)
            audit("stop", f"operation {operation_id}")
            done = f"{_jobs(operations().get(operation_id).done)} {_DONE[action]}"
            fail(f"\nStopped: {done}; the others are as they were.", INTERRUPTED)
        return ended


def _drive(
    operation_id: int, total: int, label: str, pressed: Callable[[], bool]
) -> Operation | None:
    """None: Ctrl-C was pressed."""
    with progress(total, label) as advance:
        while not pressed():
            job_queue().operate(CHUNK)
            found = operations().get(operation_id)
            advance(found.done + found.skipped)
            if found.status != "running":
                return found
    return None


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"
