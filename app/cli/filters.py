"""The options that say which jobs, and the objects that commands work with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask import current_app
from marshmallow import ValidationError

from app.api.action_schemas import JobFilter
from app.api.errors import by_field
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.operations import Operations

ID_MAX = 2**53 - 1
PRIORITIES = [priority.value for priority in Priority]

job_id = click.IntRange(1, ID_MAX)
_JOB_FILTER = JobFilter()
_OPTIONS = (
    click.option(
        "--status", type=click.Choice([s.value for s in Status]), help="Only jobs in this status."
    ),
    click.option("--job-type", metavar="NAME", help="Only jobs of this type."),
    click.option("--priority", type=click.Choice(PRIORITIES), help="Only of this priority."),
    click.option("--tag", metavar="TAG", help="Only jobs with this tag."),
    click.option(
        "-q",
        metavar="TEXT",
        help="Search: an id, #tag, recipient, @domain, or the beginning of a title.",
    ),
)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options that `read_query` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_query(given: dict[str, Any], **order_and_page: Any) -> JobQuery:
    """The options as a JobQuery, under the rules of the API. Raises click.UsageError."""
    asked = {name: value for name, value in given.items() if value is not None}
    try:
        found: dict[str, Any] = _JOB_FILTER.load(asked)
    except ValidationError as error:
        problems = by_field(error.messages).items()
        raise click.UsageError(
            " ".join(f"{name}: {' '.join(said)}" for name, said in problems)
        ) from None
    if "status" in found:
        found["status"] = Status(found["status"])
    if "priority" in found:
        found["priority"] = Priority(found["priority"])
    return JobQuery(**found, **order_and_page)


def job_queue() -> JobQueue:
    """Raises ServerUnsuitable for a store of another version."""
    found: JobQueue = current_app.extensions["queue"]
    found.ensure_schema()
    return found


def inspector() -> Inspector:
    job_queue()
    found: Inspector = current_app.extensions["inspector"]
    return found


def operations() -> Operations:
    job_queue()
    found: Operations = current_app.extensions["operations"]
    return found
