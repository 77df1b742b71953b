"""What the verbs of `JobQueue` answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from app.queue.job import Job
from app.queue.layout import Era

# "away": it could not be told, because its shard is away while others are there.
Verdict = Literal["ok", "repeat", "late", "lost", "away"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one `turn` answered: a verdict for each outcome, in order, and the new jobs."""

    verdicts: list[Verdict] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    paused: bool = False
    housekeeping_due: bool = False  # nobody promotes or reaps: the caller should
    more_wait: bool = False  # as many as were wanted were claimed, and there are others
    era: str = Era().mark  # the mark of the one that the store has (`layout.py`)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What `renew` answered for each job in hand."""

    ok: list[int] = field(default_factory=list)
    cancel: list[int] = field(default_factory=list)  # renewed, but a person asked to cancel
    lost: list[int] = field(default_factory=list)
    housekeeping_due: bool = False
    work_waits: bool = False  # pending jobs are there for whoever has room
    era: str = Era().mark  # as of a turn
    incomplete: bool = False  # a shard was away: of its jobs nothing is said


@dataclass(frozen=True, slots=True)
class Promotion:
    moved: int
    next_due_ms: int | None  # from now; None when nothing waits. 0: more is due already


@dataclass(frozen=True, slots=True)
class Reaping:
    requeued: list[int]
    poisoned: list[int]
    held: bool  # waiting one lease, because Redis or the reaper was away


@dataclass(frozen=True, slots=True)
class ShardFacts:
    era: str  # the mark of the one that it takes submissions of; with `CLOSED`: of none
    last_id: int  # that it gave; 0: none
    pending: int
    paused: bool
