"""Which jobs a form is about: one, the ticked rows, or all that match the page's filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from werkzeug.datastructures import MultiDict

from app.dashboard.query import BadAddress, address, job_query
from app.dashboard.verbs import VERBS, Action
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Job
from app.queue.operations import Operations

IDS_MAX = 200
LISTED = 10
_ID_DIGITS_MAX = 15

Scope = Literal["selected", "all"]
# What a form holds beside the query of the page it stands on.
_OWN_FIELDS = frozenset({"csrf_token", "ids", "selected", "all", "action", "scope", "origin"})


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs of `ids`, or, where it is None, all that `query` matches.

    `query` is the page of jobs that the form stood on, and `origin` the job whose page it was.
    """

    ids: tuple[int, ...] | None
    query: JobQuery
    origin: int | None = None

    @property
    def fields(self) -> list[tuple[str, Any]]:
        """The hidden fields from which `selection()` reads the same again."""
        origin = [] if self.origin is None else [("origin", self.origin)]
        ids = [("ids", job_id) for job_id in self.ids or ()]
        return [("scope", self.scope), *origin, *ids, *query_fields(self.query)]

    @property
    def scope(self) -> Scope:
        return "all" if self.ids is None else "selected"


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would find; the status of `able` of the jobs allows it.

    `complete` is False where more jobs may match than `total`.
    """

    total: int
    able: int
    jobs: list[Job]
    missing: list[int]
    complete: bool = True


def query_fields(query: JobQuery) -> list[tuple[str, Any]]:
    """The page of jobs as hidden fields."""
    return list(address(query, page=query.page).items())


def page_query(form: MultiDict[str, str]) -> JobQuery:
    """The page of jobs that a form stood on. Raises BadAddress."""
    items = [(name, value) for name, value in form.items(multi=True) if name not in _OWN_FIELDS]
    return job_query(MultiDict(items))


def selection(form: MultiDict[str, str], scope: Scope) -> Selection:
    """Reads a form. Raises BadAddress."""
    ids = _ids(form.getlist("ids")) if scope == "selected" else None
    return Selection(ids, page_query(form), origin(form))


def origin(form: MultiDict[str, str]) -> int | None:
    """The job whose page the form stood on. Raises BadAddress."""
    found = form.get("origin")
    return None if found is None else _ids([found])[0]


def preview(
    inspector: Inspector, operations: Operations, found: Selection, action: Action
) -> Preview:
    if found.ids is None:
        return _preview_of_query(inspector, operations, found.query, action)
    return _preview_of_ids(inspector, found.ids, action)


def described(query: JobQuery) -> list[tuple[str, str]]:
    """The filters of a query, as name and value."""
    filters = {
        "status": query.status,
        "job type": query.job_type,
        "priority": query.priority,
        "tag": query.tag,
        "search": query.q,
    }
    return [(name, str(value)) for name, value in filters.items() if value]


def in_words(query: JobQuery) -> str:
    filters = ", ".join(f"{name} {value}" for name, value in described(query))
    return f"all jobs with {filters}" if filters else "all jobs"


def _ids(texts: list[str]) -> tuple[int, ...]:
    for text in texts:
        if not (text.isascii() and text.isdigit() and 1 <= len(text) <= _ID_DIGITS_MAX):
            raise BadAddress(["ids: must be ids of jobs."])
    ids = tuple(dict.fromkeys(int(text) for text in texts))
    if len(ids) > IDS_MAX:
        raise BadAddress([f"ids: at most {IDS_MAX} jobs can be selected."])
    return ids


def _preview_of_ids(inspector: Inspector, ids: tuple[int, ...], action: Action) -> Preview:
    jobs, missing = [], []
    for job_id in ids:
        found = inspector.page(JobQuery(q=str(job_id), limit=1)).jobs
        jobs += found
        missing += [] if found else [job_id]
    able = sum(job.status in VERBS[action].statuses for job in jobs)
    return Preview(len(ids), able, jobs[:LISTED], missing)


def _preview_of_query(
    inspector: Inspector, operations: Operations, query: JobQuery, action: Action
) -> Preview:
    found = operations.preview(action, query)
    jobs = inspector.page(replace(query, page=1, limit=LISTED)).jobs
    return Preview(found.total, found.able, jobs, [], found.complete)
