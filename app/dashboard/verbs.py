"""What a person can do with jobs, in which statuses, and how a page says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from app.queue.job import Job, Status
from app.queue.operations import ACTS_ON, Action

__all__ = ["ACTIONS", "VERBS", "Action", "Verb", "actions_for", "actions_in"]

ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class Verb:
    """An action in words. `statuses` are those in which a job can have it done."""

    label: str
    done: str
    effect: str
    statuses: frozenset[Status]


VERBS: dict[Action, Verb] = {
    "retry": Verb(
        label="Retry",
        done="Retried",
        effect="They become pending now, whatever their attempts so far. Mail goes to nobody "
        "who has it already or is on the suppression list.",
        statuses=ACTS_ON["retry"],
    ),
    "cancel": Verb(
        label="Cancel",
        done="Cancelled",
        effect="They will not run. Where one is being processed, its worker is asked to stop.",
        statuses=ACTS_ON["cancel"],
    ),
    "delete": Verb(
        label="Delete",
        done="Deleted",
        effect="They are forgotten with their payload and history. This can't be undone.",
        statuses=ACTS_ON["delete"],
    ),
}


def actions_for(job: Job) -> list[Action]:
    """What can be done with this job now, in the order of the buttons."""
    asked = job.status == Status.PROCESSING and job.cancel_requested
    return [a for a in actions_in(job.status) if not (a == "cancel" and asked)]


def actions_in(status: Status | None) -> list[Action]:
    """What can be done with jobs of one status, or of any."""
    return [a for a in ACTIONS if status is None or status in VERBS[a].statuses]
