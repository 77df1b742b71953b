"""The address of a page of jobs, both ways: query string → JobQuery → query string."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug.datastructures import MultiDict

from app.queue.inspector import LOOK_MAX, LOOK_USUALLY, SORTS, JobQuery
from app.queue.job import Priority, Status

PAGE_SIZES = (25, 50, 100, 200)
ORDERS = ("asc", "desc")
PAGE_MAX = 10**9
TEXT_MAX = 200


class BadAddress(Exception):
    """The query string can't be used. `problems` has a line for each parameter."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def job_query(args: MultiDict[str, str]) -> JobQuery:
    """Which jobs a query string asks for; an empty value asks for nothing. Raises BadAddress."""
    reader = _Reader(args)
    status = reader.choice("status", Status)
    priority = reader.choice("priority", Priority)
    query = JobQuery(
        status=Status(status) if status else None,
        priority=Priority(priority) if priority else None,
        job_type=reader.text("job_type"),
        tag=reader.text("tag"),
        q=reader.text("q"),
        sort=reader.choice("sort", SORTS) or "id",
        descending=reader.choice("order", ORDERS) != "asc",
        page=reader.whole_number("page", PAGE_MAX) or 1,
        limit=int(reader.choice("limit", map(str, PAGE_SIZES)) or _DEFAULTS["limit"]),
        look=reader.whole_number("look", LOOK_MAX) or LOOK_USUALLY,
    )
    reader.finish()
    return query


def address(query: JobQuery, **changes: Any) -> dict[str, Any]:
    """The parameters of a link to `query` with `changes`; what is the default is left out.

    Anything but another page starts at the first page again.
    """
    values = {
        "status": query.status,
        "job_type": query.job_type,
        "priority": query.priority,
        "tag": query.tag,
        "q": query.q,
        "sort": query.sort,
        "order": "desc" if query.descending else "asc",
        "limit": query.limit,
        "look": query.look,
        "page": 1,
    }
    values |= changes
    return {name: value for name, value in values.items() if value not in (None, _DEFAULTS[name])}


_DEFAULTS: dict[str, Any] = {
    "status": None,
    "job_type": None,
    "priority": None,
    "tag": None,
    "q": None,
    "sort": "id",
    "order": "desc",
    "limit": 25,
    "look": LOOK_USUALLY,
    "page": 1,
}


class _Reader:
    """Reads parameters one by one, and collects what is wrong."""

    def __init__(self, args: MultiDict[str, str]) -> None:
        self._args = args
        self._problems = [
            f"{name}: there is no such parameter." for name in args if name not in _DEFAULTS
        ]

    def choice(self, name: str, allowed: Iterable[str]) -> str | None:
        choices = list(allowed)
        value = self._args.get(name) or None
        if value is None or value in choices:
            return value
        self._problems.append(f"{name}: must be one of {', '.join(choices)}.")
        return None

    def text(self, name: str) -> str | None:
        value = self._args.get(name, "").strip()
        if len(value) > TEXT_MAX:
            self._problems.append(f"{name}: at most {TEXT_MAX} characters are allowed.")
        return value or None

    def whole_number(self, name: str, high: int) -> int | None:
        value = self._args.get(name, "").strip()
        if not value:
            return None
        if value.isascii() and value.isdigit() and len(value) <= 18 and 1 <= int(value) <= high:
            return int(value)
        self._problems.append(f"{name}: must be a whole number from 1 to {high}.")
        return None

    def finish(self) -> None:
        if self._problems:
            raise BadAddress(self._problems)
