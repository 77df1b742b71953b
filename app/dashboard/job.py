"""The page of one job, its parts that stay live, and those that are loaded on demand."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, current_app, render_template

from app.dashboard import clock, mail_preview, payload
from app.dashboard.polls import unless_seen
from app.dashboard.presence import alive_main_workers
from app.dashboard.suppressed import suppression_note
from app.dashboard.views import bp
from app.dashboard.why import Surroundings, reasons
from app.jobs import max_retries_of
from app.queue.errors import JobNotFound
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Attempt, Job, Status

ID_DIGITS_MAX = 15  # beyond, no id is exact in Redis's scripts
PAYLOAD_SHOWN_CHARS = 8_192
ATTEMPTS_SHOWN = 20
# Workers fall silent without a change in the queue: a job is looked at again this often.
FRESH_SECONDS = 10


@bp.get("/dashboard/jobs/<job_id>")
def job(job_id: str) -> str:
    found = _inspector().job(_id(job_id))
    is_mail = found.job_type == mail_preview.JOB_TYPE
    return render_template(
        "dashboard/job.html",
        **job_page(found.id),
        **payload_part(found, all_of_it=False),
        mail=mail_preview.preview(found.payload) if is_mail else None,
    )


@bp.get("/dashboard/partials/job/<job_id>")
def job_partial(job_id: str) -> Response:
    checked = _id(job_id)
    return unless_seen(_tag(), lambda: _live_part(checked))


@bp.get("/dashboard/jobs/<job_id>/payload")
def job_payload(job_id: str) -> str:
    found = _inspector().job(_id(job_id))
    return render_template("dashboard/payload.html", job=found, **payload_part(found))


@bp.get("/dashboard/partials/job/<job_id>/payload")
def job_payload_partial(job_id: str) -> str:
    found = _inspector().job(_id(job_id))
    return render_template("dashboard/_payload.html", job=found, **payload_part(found))


@bp.get("/dashboard/jobs/<job_id>/mail.html")
def job_mail_html(job_id: str) -> Response:
    """For the frame on the job's page."""
    found = _inspector().job(_id(job_id))
    mail = mail_preview.preview(found.payload)
    if mail is None or mail.html is None or found.job_type != mail_preview.JOB_TYPE:
        abort(404)
    return mail_preview.framed(mail.html)


@bp.errorhandler(JobNotFound)
def job_not_found(error: JobNotFound) -> tuple[str, int]:
    return render_template("dashboard/job_not_found.html", job_id=error.job_id), 404


def _live_part(job_id: int) -> str:
    try:
        return render_template("dashboard/_job.html", **job_page(job_id)).strip()
    except JobNotFound:  # deleted or trimmed while somebody looks at it
        return render_template("dashboard/_job_gone.html", job_id=job_id).strip()


def job_page(job_id: int) -> dict[str, Any]:
    """What the live part shows. Reads no payload. Raises JobNotFound."""
    inspector, now = _inspector(), clock.now()
    tag = _tag()  # before the job: a change in between shows with the next poll
    found = _without_payload(job_id)
    attempts = inspector.attempts(job_id)[::-1]
    return {
        "job": found,
        "now": now,
        "ptag": tag,
        "reasons": reasons(found, _surroundings(found, attempts, now)),
        "attempts": attempts[:ATTEMPTS_SHOWN],
        "older_attempts": attempts[ATTEMPTS_SHOWN:],
        "max_retries": _max_retries(found),
        "recipients": mail_preview.recipients(found.result),
        "message_id": _message_id(found),
        "unconfirmed": _is_unconfirmed(found),
        "suppression_note": suppression_note(found),
        "result": None if found.result is None else payload.pretty_value(found.result),
    }


def _without_payload(job_id: int) -> Job:
    """Raises JobNotFound."""
    found = _inspector().page(JobQuery(q=str(job_id), limit=1)).jobs
    if not found:
        raise JobNotFound(job_id)
    return found[0]


def payload_part(job: Job, *, all_of_it: bool = True) -> dict[str, Any]:
    """The payload, or None in place of a large one that is loaded on demand."""
    shown = all_of_it or len(job.payload) <= PAYLOAD_SHOWN_CHARS
    return {
        "payload_text": payload.pretty(job.payload) if shown else None,
        "payload_bytes": len(job.payload.encode("utf-8", "replace")),
    }


def _surroundings(job: Job, attempts: list[Attempt], now: float) -> Surroundings:
    inspector = _inspector()
    workers = alive_main_workers(inspector.workers(), now)
    return Surroundings(
        now=now,
        paused=inspector.paused(),
        main_workers=frozenset(worker.name for worker in workers),
        position=inspector.position(job.id) if job.status == Status.PENDING else None,
        last_attempt=attempts[0] if attempts else None,
        breakers=tuple(worker.breaker for worker in workers if worker.breaker),
    )


def _max_retries(job: Job) -> int:
    configured: int | None = current_app.extensions["config"].max_retries
    return max_retries_of(job.job_type, job.max_retries, configured)


def _message_id(job: Job) -> str | None:
    found = job.result.get("message_id") if isinstance(job.result, dict) else None
    return found if isinstance(found, str) else None


def _is_unconfirmed(job: Job) -> bool:
    """Whether an attempt passed its point of no return and nobody knows what it did."""
    said = isinstance(job.result, dict) and job.result.get("unconfirmed") is True
    return job.unconfirmed or said


def _tag() -> str:
    return f"{_inspector().revision()}.{int(clock.now() // FRESH_SECONDS)}"


def _id(text: str) -> int:
    """Raises JobNotFound for what can't be an id; 0 stands for text that is no number."""
    if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX:
        return int(text)
    raise JobNotFound(0)


def _inspector() -> Inspector:
    inspector: Inspector = current_app.extensions["inspector"]
    return inspector
