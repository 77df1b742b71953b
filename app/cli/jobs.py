"""`flask jobs list|show|stats|export`: what can be read of jobs."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import click
from flask import current_app

from app.api.answers import attempt_data, job_data
from app.cli.filters import filters, inspector, job_id, read_query
from app.cli.output import Commands, as_json, line, moment, progress, say, table
from app.queue.export import csv_lines, json_lines
from app.queue.inspector import LIMIT_MAX, SORTS, JobQuery, Page
from app.queue.job import Attempt, Job

jobs = Commands("jobs", help="Submit, find and steer jobs.")

_FORMATS = {"csv": csv_lines, "jsonl": json_lines}


@jobs.command("list")
@filters
@click.option("--sort", type=click.Choice(SORTS), default="id", show_default=True)
@click.option("--asc", is_flag=True, help="Smallest, or oldest, first.")
@click.option("--page", type=click.IntRange(1, 10**9), default=1, show_default=True)
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True)
@as_json
def list_jobs(
    sort: str, asc: bool, page: int, limit: int, as_json: bool, **given: str | None
) -> None:
    """Shows a page of jobs, newest first.

    \b
    flask jobs list --status failed --tag invoices
    flask jobs list -q ann@example.com --json
    flask jobs list --sort completed_at --limit 10
    """
    query = read_query(given, sort=sort, descending=not asc, page=page, limit=limit)
    found = inspector().page(query, with_payload=as_json)
    answer = {
        "total": found.total,
        "complete": found.complete,
        "page": page,
        "jobs": [data_of(job) for job in found.jobs],
    }
    say(answer, _rows(found.jobs) if found.jobs else "No job matches.", as_json)
    if not as_json and found.jobs:
        click.echo(_how_many(found), err=True)


@jobs.command("show")
@click.argument("job", type=job_id)
@click.option("--payload", is_flag=True, help="Only the payload, as it was submitted.")
@as_json
def show(job: int, payload: bool, as_json: bool) -> None:
    """Shows one job and its attempts.

    \b
    flask jobs show 42
    flask jobs show 42 --payload > payload.json
    """
    found = inspector().job(job)
    if payload:
        click.echo(found.payload, nl=sys.stdout.isatty())
        return
    attempts = inspector().attempts(job)
    answer = {**data_of(found), "history": [attempt_data(attempt) for attempt in attempts]}
    say(answer, _facts(found) + _history(attempts), as_json)


@jobs.command("stats")
@as_json
def stats(as_json: bool) -> None:
    """Counts the jobs in each status, and what happened to each job type so far.

    \b
    flask jobs stats
    """
    found = inspector().stats()
    answer = {name: found[name] for name in ("counts", "total", "by_type")}
    counts = [[status.replace("_", " "), f"{n:,}"] for status, n in found["counts"].items()]
    text = table([*counts, ["total", f"{found['total']:,}"]])
    for job_type, events in found["by_type"].items():
        said = ", ".join(f"{event.replace('_', ' ')} {n:,}" for event, n in events.items())
        text += f"\n\n{line(job_type)}: {said}"
    say(answer, text, as_json)


@jobs.command("export")
@filters
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    help="csv (times in ISO 8601) or jsonl (as in the API). By default as FILE ends, else csv.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The file to write; it appears when all is in it. Default: stdout.",
)
def export(form: str | None, output: Path | None, **given: str | None) -> None:
    """Writes all jobs that match, oldest first, without their payloads.

    \b
    flask jobs export --status permanently_failed -o failed.csv
    flask jobs export --tag invoices --format jsonl | jq .title
    """
    query = read_query(given, limit=1)
    suffix = output.suffix[1:] if output else ""
    lines = _FORMATS[form or (suffix if suffix in _FORMATS else "csv")]
    pages = inspector().walk(query)
    # Redis away is said before a file is begun.
    total = inspector().page(query).total
    with _opened(output) as file, progress(total, "Exporting") as advance:
        for text in lines(_counted(pages, advance)):
            file.write(text)
    if output:
        click.echo(f"Wrote {output}.", err=True)


def data_of(job: Job) -> dict[str, Any]:
    """The job as the API has it."""
    return job_data(job, current_app.extensions["config"].max_retries)


def _counted(pages: Iterable[list[Job]], advance: Any) -> Iterator[list[Job]]:
    done = 0
    for page in pages:
        yield page
        done += len(page)
        advance(done)


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """The file, which takes its name only when it is whole, or stdout."""
    if output is None:
        yield sys.stdout
        return
    try:
        # The lines bring their own ends: CSV has \r\n everywhere (RFC 4180).
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # renamed, not deleted
            "w", encoding="utf-8", newline="", dir=output.parent, prefix=".", delete=False
        )
    except OSError as error:
        raise click.FileError(str(output), str(error.strerror)) from None
    try:
        with file:
            yield file
        os.replace(file.name, output)
    except BaseException:
        os.unlink(file.name)
        raise


def _rows(found: list[Job]) -> str:
    head = ["ID", "STATUS", "TYPE", "PRIORITY", "CREATED (UTC)", "RETRIES", "ABOUT"]
    return table([head, *map(_row, found)])


def _row(job: Job) -> list[str]:
    about = " · ".join(filter(None, [", ".join(job.people), job.title or ""]))
    return [
        str(job.id),
        job.status.replace("_", " "),
        line(job.job_type),
        job.priority,
        moment(job.created_at),
        str(job.retry_count),
        line(about)[:80],
    ]


def _how_many(found: Page) -> str:
    query: JobQuery = found.query
    more = "" if found.complete else " or more"
    last = query.offset + len(found.jobs)
    return f"{query.offset + 1}-{last} of {found.total:,}{more}; --page shows others."


def _facts(job: Job) -> str:
    facts = {
        "status": job.status.replace("_", " "),
        "job type": job.job_type,
        "priority": job.priority,
        "created": moment(job.created_at),
        "due": moment(job.run_at) if job.run_at else "",
        "began": moment(job.picked_at) if job.picked_at else "",
        "ended": moment(job.completed_at) if job.completed_at else "",
        "retries": job.retry_count,
        "tags": ", ".join(job.tags),
        "title": job.title or "",
        "people": ", ".join(job.people),
        "worker": job.worker or "",
        "last error": job.last_error or "",
        "result": "" if job.result is None else job.result,
        "payload": job.payload,
    }
    rows = [[name, line(value)] for name, value in facts.items() if value != ""]
    return f"Job {job.id}\n" + table(rows)


def _history(attempts: list[Attempt]) -> str:
    if not attempts:
        return ""
    rows = [["ATTEMPT", "BEGAN (UTC)", "ENDED (UTC)", "OUTCOME", "WORKER", "ERROR"]]
    rows += [
        [
            str(attempt.number),
            moment(attempt.started_at),
            moment(attempt.ended_at),
            attempt.outcome,
            line(attempt.worker or "-"),
            line(attempt.error or ""),
        ]
        for attempt in attempts
    ]
    return "\n\n" + table(rows)
