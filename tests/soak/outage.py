"""What the scenarios around Redis share: jobs to submit, a verdict, and how long things took."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.soak.judge import Verdict, lost_jobs
from tests.soak.submitting import Answer, Submitter
from tests.soak.system import System
from tests.workers.processes import wait_until


def soak_jobs(count: int, seconds: float, rng: random.Random) -> list[dict[str, Any]]:
    """Jobs of `seconds` each on average."""
    return [
        {"job_type": "soak", "payload": {"seconds": round(rng.uniform(0, 2 * seconds), 4)}}
        for _ in range(count)
    ]


def verdict_of(
    system: System, scenario: str, seed: int, submitter: Submitter, recovery_seconds: float
) -> Verdict:
    """When all is final."""
    log = system.log()
    # A server that forgot a job gives its id to another.
    given_again = len(submitter.answered) - len(set(submitter.answered))
    return Verdict(
        scenario,
        seed,
        submitted=submitter.submitted,
        answered=len(submitter.answered),
        finished=len(set(log.finished) & set(submitter.answered)),
        lost=len(lost_jobs(submitter.answered, log.finished, system.inspector)) + given_again,
        ran_twice=len(log.ran_twice),
        done_twice=len(log.done_twice),
        suspected=system.suspected(),
        recovery_seconds=recovery_seconds,
    )


def submit_one(system: System) -> tuple[int, str | None, str]:
    """Status, `Retry-After` and message of the answer to one submission."""
    connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=15)
    try:
        connection.request(
            "POST",
            "/api/process_query",
            json.dumps({"job_type": "soak", "payload": {}}),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        return response.status, response.headers["Retry-After"], json.load(response)["message"]
    finally:
        connection.close()


def first_answer(submitter: Submitter, status: int, since: float, seconds: float = 60) -> float:
    """Seconds from `since` (monotonic) until a request that ended later was answered like this."""
    found: list[Answer] = wait_until(
        lambda: [
            answer
            for answer in list(submitter.answers)
            if answer.status == status and answer.at + answer.seconds > since
        ],
        f"an answer {status}",
        seconds,
    )
    return found[0].at + found[0].seconds - since


def resumed_after(system: System, since: float, seconds: float = 60) -> float:
    """Seconds from `since` (since the epoch) until a worker began a job."""
    path = Path(system.settings["SOAK_LOG"])

    def first_start() -> float:
        lines = [line.split(" ") for line in path.read_text().splitlines()[-2_000:]]
        return min(
            (float(at) for _, _, what, at in lines if what == "started" and float(at) > since),
            default=0,
        )

    return float(wait_until(first_start, "a job is begun", seconds)) - since


def longest(submitter: Submitter, status: int) -> float:
    """How long the slowest answer with this status took, in seconds; 0 when there was none."""
    return max((one.seconds for one in submitter.answers if one.status == status), default=0.0)


def figures(values: Iterable[float]) -> str:
    """`median / most`, in seconds."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.2f} / {ordered[-1]:.2f}" if ordered else "–"


def now() -> float:
    return time.monotonic()
