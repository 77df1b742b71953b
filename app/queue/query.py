"""Which jobs a person asks for, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.queue.job import Job, Priority, Status
from app.queue.summary import FINDS_NOTHING, find_prefix

SORTS = (
    "id",
    "job_type",
    "priority",
    "created_at",
    "picked_at",
    "completed_at",
    "status",
    "retry_count",
)
LIMIT_MAX = 200
# How many candidates of a tag or search are looked at, one after the other, where no index answers.
LOOK_USUALLY = 500
LOOK_MAX = 100_000

# Ids stay exact in Lua up to 2^53.
_ID_DIGITS_MAX = 15


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, in which order, which page. `None` or an empty text means any.

    Order: by `sort`, equal values by id; `desc` is the exact reverse of `asc`, except that jobs
    without the time sorted by come last in both. Text sorts by its characters.

    `q` finds an id (`42`), a tag (`#welcome`), a recipient (`user@example.com`), the recipients of
    a domain (`@example.com`), or else the beginning of a title, whatever its case: 64 characters.

    `look` bounds how many jobs of a tag or search are looked at where other filters, or another
    order than by id, ask for that.

    Raises ValueError, which names the field and what is allowed.
    """

    status: Status | None = None
    job_type: str | None = None
    priority: Priority | None = None
    tag: str | None = None
    q: str | None = None
    sort: str = "id"
    descending: bool = True
    page: int = 1
    limit: int = 50
    look: int = LOOK_USUALLY

    def __post_init__(self) -> None:
        if self.sort not in SORTS:
            raise ValueError(f"sort: must be one of {', '.join(SORTS)}.")
        if self.page < 1:
            raise ValueError("page: must be 1 or more.")
        if not 1 <= self.limit <= LIMIT_MAX:
            raise ValueError(f"limit: must be from 1 to {LIMIT_MAX}.")
        if not 1 <= self.look <= LOOK_MAX:
            raise ValueError(f"look: must be from 1 to {LOOK_MAX}.")

    @property
    def filters(self) -> dict[str, str]:
        """What was asked for, as people gave it, without order and page."""
        values = {
            "status": self.status,
            "job_type": self.job_type,
            "priority": self.priority,
            "tag": self.tag,
            "q": self.q,
        }
        return {name: value for name, value in values.items() if value}

    @property
    def in_words(self) -> str:
        """`all jobs with status failed, tag a`, for the audit log."""
        filters = ", ".join(f"{name} {value}" for name, value in self.filters.items())
        return f"all jobs with {filters}" if filters else "all jobs"

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit

    @property
    def job_id(self) -> int | None:
        """The id that `q` asks for, if it does."""
        text = self._text
        digits = text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX
        return int(text) if digits else None

    @property
    def all_tags(self) -> set[str]:
        """The tags that a job must have."""
        text = self._text
        from_q = text[1:] if text.startswith("#") and " " not in text else ""
        return {tag for tag in (self.tag, from_q) if tag}

    @property
    def find_prefix(self) -> str | None:
        """How the entries of `Find` begin that `q` asks for, if it asks for a person or title."""
        text = self._text
        is_tag = len(text) > 1 and text.startswith("#") and " " not in text
        if is_tag or self.job_id is not None:
            return None
        # Nothing but spaces and control characters is not "any": it must find no job, or an
        # action on it would be one on every job.
        return find_prefix(text) or (FINDS_NOTHING if self.q else None)

    @property
    def is_by_id(self) -> bool:
        """Ids are given in order of creation."""
        return self.sort in ("id", "created_at")

    @property
    def _text(self) -> str:
        return (self.q or "").strip()


@dataclass(frozen=True, slots=True)
class Source:
    """What leads to jobs: a tag, the entries of `Find` that begin with a text, or the filters by
    status, job type and priority (`name` is empty then)."""

    kind: Literal["tag", "find", "filter"]
    name: str

    @property
    def is_by_id(self) -> bool:
        """Whether it leads to jobs in order of ids, to each once."""
        return self.kind != "find" or self.name.endswith("\0")


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `total` counts all jobs that match; `complete` is False where a tag or search had
    too many candidates. Then only `looked_at` of about `candidates` that `source` leads to were
    examined: the newest where it is by id (0 and nothing else: searching is switched off)."""

    jobs: list[Job]
    total: int
    query: JobQuery
    complete: bool = True
    looked_at: int | None = None
    candidates: int | None = None
    source: Source | None = None
