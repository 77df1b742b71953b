"""Does what a person asked with single jobs, and says what became of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.dashboard.verbs import VERBS, Action
from app.queue.errors import JobNotFound, QueueUnavailable, WrongStatus
from app.queue.jobqueue import JobQueue

IDS_NAMED = 5


@dataclass(slots=True)
class Result:
    """What became of the jobs: ids of those done, of those whose worker was asked to stop, and of
    those skipped by reason; `cut_short` when Redis went away in between."""

    action: Action
    done: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    skipped: dict[str, list[int]] = field(default_factory=dict)
    cut_short: bool = False

    @property
    def changed(self) -> list[int]:
        return self.done + self.asked

    def __str__(self) -> str:
        parts = []
        if self.done or not self.asked:
            parts.append(f"{VERBS[self.action].done} {_jobs(len(self.done))}.")
        if self.asked:
            parts.append(f"Asked the workers of {_jobs(len(self.asked))} to stop.")
        if self.skipped:
            reasons = "; ".join(f"{why}: {_named(ids)}" for why, ids in self.skipped.items())
            parts.append(f"Skipped {sum(map(len, self.skipped.values())):,} ({reasons}).")
        if self.cut_short:
            parts.append("Then Redis went away: the others were left as they are.")
        return " ".join(parts)


def act_on_one(queue: JobQueue, action: Action, job_id: int) -> str:
    """What was done, as a sentence. Raises JobNotFound, WrongStatus, QueueUnavailable."""
    match action:
        case "retry":
            queue.retry(job_id)
            return f"Job {job_id} is pending again."
        case "cancel":
            cancelled = queue.cancel(job_id)
            asked = f"Job {job_id} is being processed; its worker was asked to stop."
            return f"Job {job_id} is cancelled." if cancelled else asked
        case "delete":
            queue.delete(job_id)
            return f"Job {job_id} is deleted."


def act_on_many(queue: JobQueue, action: Action, job_ids: Iterable[int]) -> Result:
    """Raises QueueUnavailable only when nothing was done yet."""
    result = Result(action)
    for job_id in job_ids:
        try:
            _act(queue, result, job_id)
        except QueueUnavailable:
            if not result.changed:
                raise
            result.cut_short = True
            break
    return result


def _act(queue: JobQueue, result: Result, job_id: int) -> None:
    try:
        if result.action == "cancel":
            (result.done if queue.cancel(job_id) else result.asked).append(job_id)
            return
        act_on_one(queue, result.action, job_id)
        result.done.append(job_id)
    except WrongStatus as error:
        result.skipped.setdefault(error.found.replace("_", " "), []).append(job_id)
    except JobNotFound:
        result.skipped.setdefault("not found", []).append(job_id)


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


def _named(ids: list[int]) -> str:
    """The first few of them: a cookie carries the text, and holds 4 KB."""
    shown = ", ".join(map(str, ids[:IDS_NAMED]))
    more = len(ids) - IDS_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
