"""The forms that change something: each is a POST, and leads back to where the person was."""

from __future__ import annotations

from typing import NamedTuple, cast

from flask import current_app, flash, redirect, render_template, request, url_for
from werkzeug import Response

from app.dashboard import clock
from app.dashboard.acting import Result, act_on_many, act_on_one
from app.dashboard.query import BadAddress, address
from app.dashboard.selection import (
    Scope,
    Selection,
    described,
    in_words,
    origin,
    page_query,
    preview,
    query_fields,
    selection,
)
from app.dashboard.suppressed import suppression_note
from app.dashboard.verbs import ACTIONS, VERBS, Action, actions_for, actions_in
from app.dashboard.views import bp
from app.queue.errors import JobNotFound, QueueUnavailable, WrongStatus
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job, Status
from app.queue.jobqueue import JobQueue
from app.queue.operations import Operations
from app.security.access import person
from app.security.acting import audit, who

# After a POST the browser gets the next page by GET, so that reloading repeats nothing.
SEE_OTHER = 303

bp.add_app_template_global(query_fields)


@bp.app_template_global("actions_for")
def offered_for(job: Job) -> tuple[Action, ...]:
    """What the person who looks can do with a job now."""
    return tuple(actions_for(job)) if person().may_act else ()


@bp.app_template_global("actions_in")
def offered_in(status: Status | None) -> tuple[Action, ...]:
    """What the person who looks can do with jobs of a status."""
    return tuple(actions_in(status)) if person().may_act else ()


class _Asked(NamedTuple):
    action: Action
    jobs: Selection


@bp.post("/dashboard/jobs/<int:job_id>/<any(retry, cancel):action>")
def act_on_job(job_id: int, action: Action) -> Response:
    back = _back(*_where())
    try:
        said = act_on_one(_queue(), action, job_id)
    except (JobNotFound, WrongStatus) as error:
        flash(str(error), "refused")
    else:
        audit(action, f"job {job_id}")
        flash(f"{said} {_after_retry(job_id)}".strip() if action == "retry" else said, "done")
    return back


@bp.post("/dashboard/jobs/<int:job_id>/delete")
def ask_to_delete(job_id: int) -> str:
    """Nothing brings a job back, so one button is not enough."""
    query, found = _where()
    return _confirmation(_Asked("delete", Selection((job_id,), query, found)))


@bp.post("/dashboard/actions")
def confirm() -> str | Response:
    """Says what would happen to how many; changes nothing."""
    scope: Scope = "selected" if "selected" in request.form else "all"
    asked = _Asked(_action(request.form.get(scope)), selection(request.form, scope))
    if asked.jobs.ids == ():
        flash("No rows are selected.", "refused")
        return _back(asked.jobs.query, asked.jobs.origin)
    return _confirmation(asked)


@bp.get("/dashboard/actions")
def nothing_to_confirm() -> Response:
    """A browser that restores its windows asks for the confirmation page by GET."""
    return redirect(url_for("dashboard.index"))


@bp.post("/dashboard/actions/start")
def start() -> Response:
    scope = request.form.get("scope")
    if scope not in ("selected", "all"):
        raise BadAddress(["scope: must be one of selected, all."])
    asked = _Asked(_action(request.form.get("action")), selection(request.form, cast(Scope, scope)))
    return _act_on_all(asked) if asked.jobs.ids is None else _act_on_selected(asked)


@bp.post("/dashboard/queue/<any(pause, resume):action>")
def steer_queue(action: str) -> Response:
    back = _back(*_where())
    changed = _queue().pause() if action == "pause" else _queue().resume()
    if changed:
        audit(action, "the queue")
    flash(_STEERED[action, changed], "done" if changed else "refused")
    return back


def operations_store() -> Operations:
    found: Operations = current_app.extensions["operations"]
    return found


def _after_retry(job_id: int) -> str:
    """What the suppression list makes of it. It was retried, so nothing here is an error."""
    inspector: Inspector = current_app.extensions["inspector"]
    try:
        return suppression_note(inspector.job(job_id))
    except (JobNotFound, QueueUnavailable):
        return ""


def _confirmation(asked: _Asked) -> str:
    inspector: Inspector = current_app.extensions["inspector"]
    found = preview(inspector, operations_store(), asked.jobs, asked.action)
    return render_template(
        "dashboard/confirm.html",
        action=asked.action,
        verb=VERBS[asked.action],
        jobs=asked.jobs,
        preview=found,
        filters=described(asked.jobs.query),
        back=_address_of(asked.jobs.query, asked.jobs.origin),
        now=clock.now(),
    )


def _act_on_selected(asked: _Asked) -> Response:
    result: Result = act_on_many(_queue(), asked.action, asked.jobs.ids or ())
    if result.changed:
        audit(asked.action, f"jobs {', '.join(map(str, result.changed))}")
    flash(str(result), "done" if result.changed else "refused")
    # The page of a deleted job is gone.
    gone = asked.action == "delete" and asked.jobs.origin in result.done
    return _back(asked.jobs.query, None if gone else asked.jobs.origin)


def _act_on_all(asked: _Asked) -> Response:
    query = asked.jobs.query
    operation_id = operations_store().start(asked.action, query, who())
    audit(asked.action, f"{in_words(query)}, operation {operation_id}")
    return redirect(url_for("dashboard.operation", operation_id=operation_id), SEE_OTHER)


def _action(name: str | None) -> Action:
    if name not in ACTIONS:
        raise BadAddress([f"action: must be one of {', '.join(ACTIONS)}."])
    return name


def _where() -> tuple[JobQuery, int | None]:
    """The page that the form stood on: a page of jobs, or the page of one. Raises BadAddress.

    It comes as validated fields, never as an address, so no form can lead to another site.
    """
    return page_query(request.form), origin(request.form)


def _back(query: JobQuery, job_id: int | None) -> Response:
    return redirect(_address_of(query, job_id), SEE_OTHER)


def _address_of(query: JobQuery, job_id: int | None) -> str:
    if job_id is not None:
        return url_for("dashboard.job", job_id=job_id)
    return url_for("dashboard.index", **address(query, page=query.page))


def _queue() -> JobQueue:
    found: JobQueue = current_app.extensions["queue"]
    return found


_STEERED = {
    ("pause", True): "The queue is paused: no job is started until it is resumed.",
    ("pause", False): "The queue was paused already.",
    ("resume", True): "The queue goes on.",
    ("resume", False): "The queue was not paused.",
}
