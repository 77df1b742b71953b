from __future__ import annotations

from typing import Any

import pytest

from app.dashboard.attention import OLDEST_PENDING_SECONDS, notices
from app.queue.job import Status

REFUSED = {"worker": "w1", "reason": "535 Login refused"}


def stats(**changes: Any) -> dict[str, Any]:
    counts = dict.fromkeys(Status, 0) | {Status.PENDING: changes.pop("pending", 0)}
    calm = {"paused": False, "workers_alive": 1, "oldest_pending_seconds": None, "breakers": []}
    return calm | {"counts": counts} | changes


def topics(**changes: Any) -> list[str]:
    return [notice.topic for notice in notices(stats(**changes))]


def test_nothing_is_said_when_all_is_well() -> None:
    assert topics(pending=5, oldest_pending_seconds=OLDEST_PENDING_SECONDS) == []


@pytest.mark.parametrize(
    ("changes", "topic", "words"),
    [
        ({"workers_alive": 0}, "no-worker", "No job waits."),
        ({"workers_alive": 0, "pending": 1}, "no-worker", "1 job waits."),
        ({"paused": True, "pending": 1_200}, "paused", "1,200 jobs wait."),
        ({"breakers": [REFUSED, REFUSED]}, "breaker", "535 Login refused. Mails wait"),
        ({"oldest_pending_seconds": 721.0, "pending": 2}, "slow", "waited 12 min"),
    ],
)
def test_what_needs_a_person_is_said(changes: dict[str, Any], topic: str, words: str) -> None:
    [notice] = notices(stats(**changes))

    assert notice.topic == topic
    assert words in f"{notice.title} {notice.text}"


def test_a_queue_that_stands_still_is_not_called_slow() -> None:
    waits = {"oldest_pending_seconds": 3_600.0}

    assert topics(paused=True, **waits) == ["paused"]
    assert topics(workers_alive=0, **waits) == ["no-worker"]
    assert topics(workers_alive=0, paused=True, **waits) == ["no-worker", "paused"]
