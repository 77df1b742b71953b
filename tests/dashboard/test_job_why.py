from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.dashboard.presence import OpenBreaker
from app.dashboard.why import Surroundings, reasons
from app.queue.job import Attempt, Job, Priority, Status

NOW = 1_750_000_000.0
AROUND = Surroundings(now=NOW, paused=False, main_workers=frozenset({"w1"}), position=0)


def job(status: Status, **fields: Any) -> Job:
    return Job(1, "noop", "{}", Priority.LOW, NOW - 60, status, **fields)


def why(job: Job, around: Surroundings) -> list[str]:
    return [reason.text for reason in reasons(job, around)]


def test_a_pending_job_waits_for_those_before_it() -> None:
    pending = job(Status.PENDING)

    assert why(pending, replace(AROUND, position=4012)) == ["4,012 jobs rank before it."]
    assert why(pending, replace(AROUND, position=1)) == ["1 job ranks before it."]
    assert why(pending, AROUND)[0].startswith("It is the next one")


def test_a_pause_comes_before_missing_workers_and_those_before_other_jobs() -> None:
    around = replace(AROUND, paused=True, main_workers=frozenset(), position=3)

    said = why(job(Status.PENDING), around)

    assert [text.split(":")[0].split(".")[0] for text in said] == [
        "The queue is paused",
        "No worker is alive",
        "3 jobs rank before it",
    ]


def test_a_job_that_is_held_is_not_said_to_run_as_soon_as_there_is_a_slot() -> None:
    pending = job(Status.PENDING)

    for around in (replace(AROUND, paused=True), replace(AROUND, main_workers=frozenset())):
        assert not any("next one" in text for text in why(pending, around))


def test_one_worker_that_sends_no_mail_holds_mail_up_only_in_part() -> None:
    mail = replace(job(Status.PENDING), job_type="send_email")
    refused = OpenBreaker("The login was refused.", NOW + 30)
    two = replace(AROUND, main_workers=frozenset({"w1", "w2"}), breakers=(refused,))

    [first, second] = reasons(mail, two)
    [only] = reasons(mail, replace(two, breakers=(refused, replace(refused, next_probe_at=NOW))))

    assert first.text.startswith("1 of 2 workers sends no mail now (The login was refused).")
    assert first.at == NOW + 30
    assert second.text.startswith("It is the next one")
    assert only.text.startswith("No mail can go out now (The login was refused).")
    assert only.at == NOW


def test_a_breaker_is_of_no_concern_to_other_job_types() -> None:
    around = replace(AROUND, breakers=(OpenBreaker("The login was refused."),))

    assert why(job(Status.PENDING), around)[0].startswith("It is the next one")


def test_a_failed_job_says_which_attempt_is_due_when() -> None:
    failed = job(Status.FAILED, retry_count=2, run_at=NOW + 300)

    [reason] = reasons(failed, AROUND)

    assert reason.text == "It waits for its 3rd attempt, due"
    assert reason.at == NOW + 300


@pytest.mark.parametrize(
    ("retry_count", "ordinal"), [(1, "2nd"), (3, "4th"), (10, "11th"), (20, "21st"), (111, "112th")]
)
def test_attempts_are_counted_in_ordinals(retry_count: int, ordinal: str) -> None:
    failed = job(Status.FAILED, retry_count=retry_count, run_at=NOW + 1)

    assert f"its {ordinal} attempt" in why(failed, AROUND)[0]


def test_a_scheduled_job_says_when_it_is_due() -> None:
    [reason] = reasons(job(Status.SCHEDULED, run_at=NOW + 9), AROUND)

    assert (reason.text, reason.at) == ("It is scheduled for", NOW + 9)


def test_a_job_given_back_says_why_it_was() -> None:
    released = Attempt(1, NOW - 2, NOW - 1, "w1", "released", "The mail server refuses the login.")
    scheduled = job(Status.SCHEDULED, run_at=NOW + 9, attempts=1)

    said = why(scheduled, replace(AROUND, last_attempt=released))

    assert said == [
        "It was given back without an attempt (The mail server refuses the login) and is due"
    ]


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.FAILED])
def test_a_job_that_nobody_moved_in_time_says_that_no_retry_worker_is_at_work(
    status: Status,
) -> None:
    overdue = job(status, run_at=NOW - 16, retry_count=1)

    assert why(overdue, AROUND)[0].startswith("No retry worker is at work")
    assert not why(replace(overdue, run_at=NOW - 14), AROUND)[0].startswith("No retry worker")


def test_a_processing_job_has_reasons_only_where_something_is_the_matter() -> None:
    running = job(Status.PROCESSING, worker="w1")

    assert why(running, AROUND) == []
    assert "being cancelled" in why(replace(running, cancel_requested=True), AROUND)[0]
    assert "Its worker w2 is silent" in why(replace(running, worker="w2"), AROUND)[0]


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.PERMANENTLY_FAILED, Status.CANCELLED])
def test_a_job_at_its_end_has_no_reasons(status: Status) -> None:
    assert reasons(job(status), replace(AROUND, paused=True)) == []
