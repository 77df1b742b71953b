"""Until when a mail is tried."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from app.jobs import find
from app.mail.schedule import Schedule
from app.queue.outcome import PermanentFailure, RetryLater
from tests.mail.scripted import ScriptedServer
from tests.mail.support import CREATED_AT, EXAMPLE, Clock, MakeMailer, make_job

HOUR = 3_600.0
GREYLISTED = "450 4.7.1 Greylisted"


def schedule(now: float, **changes: Any) -> Schedule:
    usual: dict[str, Any] = {
        "failures": 0,
        "first_attempt_at": 0.0,
        "base_seconds": 30.0,
        "expires_at": None,
        "is_limited": True,
        "now": lambda: now,
        "rng": random.Random(1),
    }
    return Schedule(**usual | changes)


def test_a_delay_that_ends_in_time_is_kept() -> None:
    assert schedule(47 * HOUR).fit(600) == (600, "")


def test_the_last_attempt_comes_before_the_end() -> None:
    delay, _ = schedule(47 * HOUR).fit(1.5 * HOUR)
    assert delay == pytest.approx(0.98 * HOUR)


def test_no_attempt_comes_after_48_hours_or_the_expiry() -> None:
    assert schedule(47.5 * HOUR).fit(2 * HOUR) == (None, "Given up: it was tried for 48 hours.")
    delay, why = schedule(10.0, expires_at=11.0).fit(600)
    assert (delay, why) == (None, "The mail was not to be sent after 1970-01-01T00:00:11+00:00.")


def test_the_earlier_end_rules() -> None:
    assert schedule(0, expires_at=HOUR).fit(1.5 * HOUR)[0] == pytest.approx(0.98 * HOUR)
    assert "48 hours" in schedule(50 * HOUR, expires_at=99 * HOUR).fit(1)[1]


def test_mail_has_twenty_attempts_unless_somebody_says_otherwise() -> None:
    send_email = find("send_email")
    assert send_email.max_retries_for(None, None) == 20
    assert send_email.max_retries_for(None, 4) == 4
    assert send_email.max_retries_for(50, 4) == 50


def attempt(mailer: Any, clock: Clock, result: Any, **attributes: Any) -> Any:
    job = make_job(result=result, **attributes)
    with pytest.raises((RetryLater, PermanentFailure)) as raised:
        mailer.send(job, job.data)
    return raised.value


def test_a_mail_is_tried_for_48_hours_from_its_first_attempt(make_mailer: MakeMailer) -> None:
    clock = Clock(now=CREATED_AT + 100 * HOUR)  # it was scheduled for then
    with ScriptedServer({"RCPT": GREYLISTED}) as server:
        mailer = make_mailer(server, clock=clock)
        result, delays = None, []
        for retry_count in range(100):
            end = attempt(mailer, clock, result, retry_count=retry_count)
            if isinstance(end, PermanentFailure):
                break
            delays.append(end.delay_seconds)
            clock.now += end.delay_seconds
            result = json.loads(json.dumps(end.result))
        assert 46 * HOUR < sum(delays) < 48 * HOUR
        assert 12 < len(delays) < 30
        assert GREYLISTED in end.reason
        assert end.reason.endswith("Given up: it was tried for 48 hours.")
        # A person who retries it starts afresh.
        assert isinstance(attempt(mailer, clock, end.result), RetryLater)


@pytest.mark.parametrize("limits", [{"max_retries": 7}, {"of_the_job": 7}])
def test_a_number_of_attempts_that_somebody_set_replaces_the_48_hours(
    make_mailer: MakeMailer, limits: dict[str, int]
) -> None:
    clock = Clock(now=CREATED_AT + 100 * HOUR)
    with ScriptedServer({"RCPT": GREYLISTED}) as server:
        mailer = make_mailer(server, clock=clock, max_retries=limits.get("max_retries"))
        previous = {"first_attempt_at": CREATED_AT}
        end = attempt(mailer, clock, previous, max_retries=limits.get("of_the_job"))
    assert isinstance(end, RetryLater)


def test_a_mail_that_would_expire_before_the_next_attempt_is_given_up_now(
    make_mailer: MakeMailer,
) -> None:
    clock = Clock()
    with ScriptedServer({"RCPT": GREYLISTED}) as server:
        job = make_job(EXAMPLE | {"expires_at": clock.now + 60})
        with pytest.raises(PermanentFailure) as raised:
            make_mailer(server, clock=clock).send(job, job.data)
    assert GREYLISTED in raised.value.reason
    assert "was not to be sent after" in raised.value.reason
    assert raised.value.smtp_code == 450


@pytest.mark.parametrize("moment", ["yesterday", True, -5, 1e18])
def test_a_first_attempt_that_makes_no_sense_is_not_believed(
    make_mailer: MakeMailer, moment: Any
) -> None:
    clock = Clock()
    with ScriptedServer({"RCPT": GREYLISTED}) as server:
        end = attempt(make_mailer(server, clock=clock), clock, {"first_attempt_at": moment})
    assert isinstance(end, RetryLater)
    assert end.result["first_attempt_at"] == clock.now
