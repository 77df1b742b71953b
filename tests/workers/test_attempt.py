"""The table: what a job's code did → what the queue is told. No server, no process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.config import Config
from app.jobs import (
    GiveBack,
    InvalidPayload,
    JobCancelled,
    PermanentFailure,
    RetryLater,
    job_type,
    registry,
)
from app.queue.errors import LeaseLost, QueueFull, QueueUnavailable
from app.queue.job import Job
from app.queue.outcome import AttemptEnded, Outcome
from tests.workers.crews import make_job
from workers.attempt import DELAY_MAX_MS, attempt, failed
from workers.slot import TimedOut

# Nothing was tried; Redis gets the time of a retry to come back.
AWAY = {"error": "Redis is away: x", "delay_ms": 30_000}


class Forgetful(PermanentFailure):
    def __init__(self) -> None:
        """Sets none of the fields."""


class Unpronounceable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.fixture(autouse=True)
def known_job_types(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One that leaves everything to the settings, one that has rules of its own."""
    monkeypatch.setattr(registry, "_job_types", {})
    job_type("plain")(lambda job: None)
    job_type("stubborn", max_retries=10, backoff=lambda retry_count: 100.0 * retry_count)(
        lambda job: None
    )
    for name, answer in {"none": None, "nan": float("nan"), "negative": -5.0}.items():
        job_type(f"backoff_{name}", backoff=lambda _count, answer=answer: answer)(lambda job: None)
    yield


@pytest.fixture
def settings(config: Config) -> Config:
    return replace(config, retry_base_seconds=30.0, retry_max_seconds=3600.0, max_retries=None)


def outcome_of(ends: BaseException | Any, settings: Config, **fields: Any) -> Outcome:
    """Of a job that raises `ends`, or returns it."""

    def process_job(_job: Job) -> Any:
        if isinstance(ends, BaseException):
            raise ends
        return ends

    job = make_job(**{"job_type": "plain", **fields})
    return attempt(job, process_job, settings, random.Random(7))


def detail_of(outcome: Outcome) -> dict[str, Any]:
    detail: dict[str, Any] = json.loads(outcome.detail)
    return detail


def test_an_outcome_names_the_lease(settings: Config) -> None:
    outcome = outcome_of(None, settings, job_id=5, token="abc")

    assert (outcome.job_id, outcome.token) == (5, "abc")


def cancelled_with(result: Any) -> JobCancelled:
    end = JobCancelled()
    end.result = result
    return end


@pytest.mark.parametrize(
    ("returned", "kept"), [(None, ""), ({"a": 1}, '{"a":1}'), (0, "0"), ("", '""'), ([], "[]")]
)
def test_what_is_returned_completes_the_job(settings: Config, returned: Any, kept: str) -> None:
    outcome = outcome_of(returned, settings)

    assert (outcome.verb, outcome.result, outcome.detail) == ("complete", kept, "")


@pytest.mark.parametrize(
    ("raised", "verb", "detail"),
    [
        (PermanentFailure("no"), "fail", {"error": "no"}),
        (PermanentFailure("no", smtp_code=550), "fail", {"error": "no", "smtp_code": 550}),
        (RetryLater(7.5, "wait"), "fail", {"error": "wait", "retry_in_ms": 7500}),
        (RetryLater(0, "again"), "fail", {"error": "again", "retry_in_ms": 0}),
        (RetryLater(-3, "again"), "fail", {"error": "again", "retry_in_ms": 0}),
        (RetryLater(1e30, "far"), "fail", {"error": "far", "retry_in_ms": DELAY_MAX_MS}),
        (GiveBack(2, "full"), "release", {"error": "full", "delay_ms": 2000}),
        (GiveBack(-2, "full"), "release", {"error": "full", "delay_ms": 0}),
        (JobCancelled("seen"), "fail", {"error": "seen", "cancelled": True}),
        (QueueUnavailable("Redis is away: x"), "release", AWAY),
        (QueueFull("No memory."), "release", {"error": "No memory.", "delay_ms": 30_000}),
        (LeaseLost(7), "release", {"error": str(LeaseLost(7)), "delay_ms": 0}),
        (InvalidPayload({"to": ["Wrong."]}), "fail", {"error": "Invalid payload: to: Wrong."}),
    ],
)
def test_what_a_job_chooses_is_what_the_queue_is_told(
    settings: Config, raised: BaseException, verb: str, detail: dict[str, Any]
) -> None:
    outcome = outcome_of(raised, settings)

    assert outcome.verb == verb
    assert detail_of(outcome) == detail


@pytest.mark.parametrize(
    "raised",
    [PermanentFailure("a", result=[1]), RetryLater(1, "a", result=[1]), cancelled_with([1])],
)
def test_a_failure_may_have_a_result(settings: Config, raised: AttemptEnded) -> None:
    assert outcome_of(raised, settings).result == "[1]"


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ValueError("odd"), "ValueError: odd"),
        (SystemExit(1), "SystemExit: 1"),
        (KeyboardInterrupt(), "KeyboardInterrupt:"),
        (ValueError("two\nlines\0"), "ValueError: two lines"),
        (Unpronounceable(), "Unpronounceable"),
        (RetryLater(float("nan"), "odd"), "Unusable RetryLater: odd (ValueError: "),
        (GiveBack("soon", "odd"), "Unusable GiveBack: odd (ValueError: "),  # type: ignore[arg-type]
        (PermanentFailure("odd", smtp_code=object()), "Unusable PermanentFailure: odd (TypeErr"),  # type: ignore[arg-type]
        (Forgetful(), "Unusable Forgetful:"),
        (AttemptEnded("odd"), "Unusable AttemptEnded: odd (TypeError: "),
    ],
)
def test_everything_else_is_a_failed_attempt_with_a_retry(
    settings: Config, raised: BaseException, error: str
) -> None:
    outcome = outcome_of(raised, settings)

    assert outcome.verb == "fail"
    detail = detail_of(outcome)
    assert detail["error"].startswith(error)
    assert 1000 <= detail["retry_in_ms"] <= 30_000


def test_a_reason_need_not_be_text(settings: Config) -> None:
    raised = PermanentFailure(ValueError("odd"))  # type: ignore[arg-type]

    assert detail_of(outcome_of(raised, settings)) == {"error": "odd"}


def test_an_interruption_passes(settings: Config) -> None:
    with pytest.raises(TimedOut):
        outcome_of(TimedOut(), settings)


@pytest.mark.parametrize("raised", [ValueError("odd"), RetryLater(5, "wait")])
@pytest.mark.parametrize(
    ("fields", "configured", "tries"),
    [
        ({}, None, 3),
        ({}, 5, 5),
        ({"job_type": "stubborn"}, 5, 10),
        ({"job_type": "stubborn", "max_retries": 2}, 5, 2),
        ({"max_retries": 0}, 5, 1),
        ({"max_retries": 1}, 5, 1),
        ({"job_type": "unknown"}, None, 3),
        ({"job_type": "unknown"}, 4, 4),
        ({"job_type": "unknown", "max_retries": 2}, 4, 2),
    ],
)
def test_the_last_attempt_ends_the_job(
    settings: Config,
    raised: BaseException,
    fields: dict[str, Any],
    configured: int | None,
    tries: int,
) -> None:
    settings = replace(settings, max_retries=configured)

    retried = [
        "retry_in_ms" in detail_of(outcome_of(raised, settings, retry_count=count, **fields))
        for count in range(tries)
    ]

    assert retried == [True] * (tries - 1) + [False]


def test_a_job_type_has_a_backoff_of_its_own(settings: Config) -> None:
    outcome = outcome_of(ValueError(), settings, job_type="stubborn", retry_count=2)

    assert detail_of(outcome)["retry_in_ms"] == 300_000


@pytest.mark.parametrize("name", ["backoff_none", "backoff_nan"])
def test_a_backoff_that_is_no_number_is_replaced(settings: Config, name: str) -> None:
    outcome = outcome_of(ValueError(), settings, job_type=name)

    assert 1000 <= detail_of(outcome)["retry_in_ms"] <= 30_000


def test_a_negative_backoff_is_none(settings: Config) -> None:
    outcome = outcome_of(ValueError(), settings, job_type="backoff_negative")

    assert detail_of(outcome)["retry_in_ms"] == 0


def test_the_common_backoff_grows_to_its_bound(settings: Config) -> None:
    settings = replace(settings, max_retries=100)
    rng = random.Random(7)
    for retry_count, ceiling_ms in [(0, 30_000), (1, 60_000), (3, 240_000), (50, 3_600_000)]:
        job = make_job(job_type="plain", retry_count=retry_count)
        delays = [detail_of(failed(job, "odd", settings, rng))["retry_in_ms"] for _ in range(200)]

        assert min(delays) >= 1000
        assert ceiling_ms / 2 < max(delays) <= ceiling_ms
