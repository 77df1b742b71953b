"""What on this queue needs a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.dashboard.formats import number, span
from app.queue.job import Status

# A queue that drains keeps nothing waiting this long.
OLDEST_PENDING_SECONDS = 600


class Notice(NamedTuple):
    """`topic` names the notice on the page, `title` is its first words, `text` the rest."""

    topic: str
    title: str
    text: str


def notices(stats: dict[str, Any]) -> Iterator[Notice]:
    """From `Inspector.stats()`, the most urgent first."""
    if not stats["workers_alive"]:
        yield Notice(
            "no-worker",
            "No worker is alive.",
            f"{_waiting(stats)} Start one with: python -m workers.main_worker",
        )
    if stats["breakers"]:
        all_of_them = len(stats["breakers"]) >= stats["workers_alive"]
        title = "No mail is sent now." if all_of_them else "Some workers send no mail now."
        yield Notice("breaker", title, _breaker_text(stats["breakers"]))
    if stats["paused"]:
        yield Notice(
            "paused",
            "The queue is paused.",
            f"{_waiting(stats)} No job is started until somebody resumes the queue; "
            "workers finish what they are at.",
        )
    waits = stats["oldest_pending_seconds"] or 0
    if waits > OLDEST_PENDING_SECONDS and stats["workers_alive"] and not stats["paused"]:
        yield Notice(
            "slow",
            f"The oldest pending job has waited {span(waits)}.",
            "The workers don't keep up: add one, or raise WORKER_CONCURRENCY.",
        )


def _breaker_text(breakers: list[dict[str, Any]]) -> str:
    """The workers mostly share one reason."""
    reasons = sorted({str(breaker["reason"]) for breaker in breakers})
    text = f"{'; '.join(reasons)}. Mails wait without losing an attempt; "
    return text + "the workers try again by themselves."


def _waiting(stats: dict[str, Any]) -> str:
    pending: int = stats["counts"][Status.PENDING]
    if not pending:
        return "No job waits."
    return "1 job waits." if pending == 1 else f"{number(pending)} jobs wait."
