"""`flask jobs submit`: one job, under the same rules as over the API."""

from __future__ import annotations

import json
import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import click

from app.api.errors import ApiError, queue_errors_by_field
from app.api.submission import BODY_MAX_BYTES, check_idempotency_key, read_job
from app.api.suppressed import refuse_suppressed
from app.cli.filters import PRIORITIES, inspector, job_queue
from app.cli.jobs import data_of, jobs
from app.cli.output import REFUSED, as_json, line, say
from app.queue.errors import IdempotencyConflict, InvalidJob
from app.queue.submission import NewJob, Submitted


@jobs.command("submit")
@click.argument("job_type")
@click.argument("payload", required=False)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the payload from this file.",
)
@click.option("--priority", type=click.Choice(PRIORITIES), help="Default: low.")
@click.option("--delay", type=float, metavar="SECONDS", help="Start it so much later.")
@click.option("--run-at", metavar="TIME", help="Start it then: 2026-01-31T09:00:00+01:00.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="May be given several times.")
@click.option("--max-retries", type=int, metavar="N")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="The same key again answers the same job: a submission can be repeated safely.",
)
@as_json
def submit(
    job_type: str,
    payload: str | None,
    file: Path | None,
    delay: float | None,
    tags: tuple[str, ...],
    idempotency_key: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Submits one job and prints its id. PAYLOAD is JSON; `-` reads it from stdin.

    \b
    flask jobs submit send_email '{"to": "ann@example.com", "subject": "Hi", "text": "Hello"}'
    flask jobs submit send_email --file mail.json --priority high --tag invoices
    make-payload | flask jobs submit resize_image - --delay 60 --idempotency-key photo-7
    """
    if delay is not None and not math.isfinite(delay):
        raise click.BadParameter("Must be a number of seconds.", param_hint="--delay")
    if (payload is None) == (file is None):
        raise click.UsageError("Give either PAYLOAD (or - for stdin) or --file.")
    body = {"job_type": job_type, "delay_seconds": delay, "tags": list(tags) or None, **given}
    asked = {name: value for name, value in body.items() if value is not None}
    try:
        asked["payload"] = _text(payload, file)
        check_idempotency_key(idempotency_key)
        [job] = refuse_suppressed([read_job(asked, idempotency_key)])
        if isinstance(job, ApiError):
            raise job
        submitted = _submit(job)
    except (ApiError, IdempotencyConflict, InvalidJob) as error:
        _refuse(error, as_json)
    else:
        _answer(submitted, as_json)


def _text(payload: str | None, file: Path | None) -> str:
    """The payload's text. Raises ApiError."""
    if payload is not None and payload != "-":
        return payload
    # One byte more than allowed tells that there is too much.
    with file.open("rb") if file else nullcontext(sys.stdin.buffer) as source:
        raw: bytes = source.read(BODY_MAX_BYTES + 1)
    if len(raw) > BODY_MAX_BYTES:
        rule = f"At most {BODY_MAX_BYTES} bytes are allowed."
        raise ApiError(413, "The payload is larger than allowed", {"payload": [rule]})
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ApiError(422, "Invalid: payload.", {"payload": ["Must be UTF-8."]}) from None


def _submit(job: NewJob) -> Submitted:
    """Raises IdempotencyConflict, InvalidJob, QueueUnavailable."""
    [answer] = job_queue().submit_many([job])
    if isinstance(answer, IdempotencyConflict):
        raise answer
    return answer


def _answer(submitted: Submitted, as_json: bool) -> None:
    found = submitted.job
    if found is None and as_json:
        found = inspector().job(submitted.job_id)
    data = data_of(found) if found else None
    said = "submitted" if submitted.created else "was submitted before with this idempotency key"
    answer = {"id": submitted.job_id, "created": submitted.created, "job": data}
    say(answer, f"Job {submitted.job_id} {said}.", as_json)


def _refuse(error: ApiError | IdempotencyConflict | InvalidJob, as_json: bool) -> NoReturn:
    errors = error.errors if isinstance(error, ApiError) else queue_errors_by_field(error)
    if as_json:
        click.echo(json.dumps({"id": None, "errors": errors}))
    for name, said in _flat(errors):
        click.echo(f"{name}: {line(said)}", err=True)
    raise click.exceptions.Exit(REFUSED)


def _flat(errors: dict[str, Any], within: str = "") -> list[tuple[str, str]]:
    """`{"payload": {"to": ["Missing."]}}` → `payload.to`, `Missing.`"""
    flat: list[tuple[str, str]] = []
    for name, found in errors.items():
        if isinstance(found, dict):
            flat += _flat(found, f"{within}{name}.")
        else:
            said = found if isinstance(found, str) else " ".join(map(str, found))
            flat.append((f"{within}{name}", said))
    return flat
