"""While no mail can go out at all, mails are given back, and now and then one finds out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from app.mail.breaker import FAILURES_MAX, Breaker
from app.mail.health import Report
from app.queue.outcome import GiveBack, RetryLater
from tests.mail.scripted import ScriptedServer, close
from tests.mail.support import Clock, MakeMailer, make_job

WELL = Report()
DOWN = Report(FAILURES_MAX, "Connection refused", False, 0.0)
REFUSED = Report(1, "The login was refused", True, 0.0)


def new_breaker(base_seconds: float = 30.0) -> Breaker:
    return Breaker(base_seconds, random.Random(1))


def test_it_is_closed_while_all_is_well_and_after_four_failures() -> None:
    breaker = new_breaker()
    for failures in range(FAILURES_MAX):
        report = Report(failures, "Connection refused")
        admission = breaker.admit(report, 100.0)
        assert (admission.wait_seconds, admission.is_probe) == (0.0, False)
        assert breaker.opening(report, 100.0) is None
        assert breaker.delay(report, 100.0) == 0.0


@pytest.mark.parametrize("report", [DOWN, REFUSED])
def test_it_opens_after_five_failures_or_one_that_needs_a_person(report: Report) -> None:
    breaker = new_breaker()
    opening = breaker.opening(report, 100.0)

    assert opening is not None
    assert (opening.since, opening.reason, opening.next_probe_at) == (100.0, report.reason, 130.0)


def test_those_who_wait_come_after_the_next_probe_and_not_all_at_once() -> None:
    breaker = new_breaker()
    waits = [breaker.admit(DOWN, 100.0).wait_seconds for _ in range(100)]

    assert min(waits) >= 30.0 and max(waits) <= 36.0
    assert max(waits) - min(waits) > 3


def test_one_gets_the_probe() -> None:
    breaker = new_breaker()
    breaker.admit(DOWN, 100.0)
    admissions = [breaker.admit(DOWN, 130.0) for _ in range(5)]

    assert [a.is_probe for a in admissions] == [True, False, False, False, False]
    # The probe may be through soon: nobody waits for the one after it.
    assert all(30.0 <= a.wait_seconds <= 36.0 for a in admissions[1:])


def test_probes_come_after_30_seconds_doubling_to_10_minutes() -> None:
    breaker, now, times = new_breaker(), 100.0, []
    for _ in range(8):
        opening = breaker.opening(DOWN, now)
        assert opening is not None
        times.append(opening.next_probe_at - now)
        now = opening.next_probe_at
        assert not breaker.admit(DOWN, now - 0.001).is_probe
        assert breaker.admit(DOWN, now).is_probe

    assert times == [30, 60, 120, 240, 480, 600, 600, 600]


def test_the_times_scale_with_the_base_of_retries() -> None:
    breaker = new_breaker(base_seconds=0.3)
    opening = breaker.opening(DOWN, 100.0)

    assert opening is not None and opening.next_probe_at == pytest.approx(100.3)
    assert 0.3 <= breaker.delay(DOWN, 100.0) <= 0.36


def test_it_closes_by_itself() -> None:
    breaker = new_breaker()
    breaker.admit(DOWN, 100.0)

    assert breaker.admit(WELL, 130.0).wait_seconds == 0.0
    assert breaker.opening(WELL, 130.0) is None


def test_what_did_not_last_goes_on_doubling() -> None:
    breaker = new_breaker()
    breaker.opening(DOWN, 100.0)
    breaker.admit(DOWN, 130.0)
    breaker.opening(WELL, 131.0)
    again = breaker.opening(REFUSED, 132.0)
    assert again is not None and again.next_probe_at == 192.0

    breaker.opening(WELL, 200.0)
    later = breaker.opening(DOWN, 1000.0)
    assert later is not None and later.next_probe_at == 1030.0


# ── In the Mailer ───────────────────────────────────────────────────────────────────────────


def send(mailer: Any) -> dict[str, Any]:
    job = make_job()
    result: dict[str, Any] = mailer.send(job, job.data)
    return result


def test_the_fifth_failure_in_a_row_costs_no_attempt_and_no_later_one_is_tried(
    make_mailer: MakeMailer,
) -> None:
    with ScriptedServer({"connect": close}) as server:
        mailer = make_mailer(server, clock=Clock(5000), monotonic=Clock(70))
        for _ in range(FAILURES_MAX - 1):
            with pytest.raises(RetryLater):
                send(mailer)
        assert mailer.breaker is None
        with pytest.raises(GiveBack) as given_back:
            send(mailer)
        assert 30 <= given_back.value.delay_seconds <= 36
        assert mailer.breaker == {
            "reason": mailer.health.reason,
            "since": 5000,
            "next_probe_at": 5030,
        }
        for _ in range(3):
            with pytest.raises(GiveBack, match="No mail can go out now: "):
                send(mailer)
        assert server.connections == FAILURES_MAX


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ({"EHLO": "554 Go away"}, {}),
        ({}, {"smtp_security": "starttls"}),
        ({"AUTH": "535 5.7.8 No"}, {"smtp_username": "me"}),
        ({"MAIL": "530 5.7.0 Authentication required"}, {}),
    ],
)
def test_what_a_person_must_mend_opens_it_at_once(
    make_mailer: MakeMailer, script: Any, settings: Any
) -> None:
    with ScriptedServer(script, extensions=("AUTH PLAIN",)) as server:
        mailer = make_mailer(server, **settings)
        with pytest.raises(GiveBack) as given_back:
            send(mailer)
        assert mailer.breaker is not None
        assert mailer.breaker["reason"] == given_back.value.reason
        with pytest.raises(GiveBack):
            send(mailer)
        assert server.connections == 1


def test_a_probe_that_fails_costs_no_attempt_and_one_that_succeeds_sends_the_mail(
    make_mailer: MakeMailer,
) -> None:
    monotonic = Clock(70)
    with ScriptedServer({"connect": [close] * (FAILURES_MAX + 1)}) as server:
        mailer = make_mailer(server, monotonic=monotonic)
        for _ in range(FAILURES_MAX):
            with pytest.raises((RetryLater, GiveBack)):
                send(mailer)
        monotonic.now += 30
        with pytest.raises(GiveBack):
            send(mailer)
        assert server.connections == FAILURES_MAX + 1
        monotonic.now += 60
        assert send(mailer)["recipients"]["user@example.com"]["status"] == "sent"
        assert mailer.breaker is None
        # The probe's connection was used for the mail.
        assert server.connections == FAILURES_MAX + 2


def test_mails_refused_for_themselves_leave_it_closed(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "450 4.2.0 Greylisted"}) as server:
        mailer = make_mailer(server)
        for _ in range(2 * FAILURES_MAX):
            with pytest.raises(RetryLater):
                send(mailer)
        assert mailer.breaker is None


def test_the_local_mailbox_has_none(make_mailer: MakeMailer, tmp_path: Path) -> None:
    mailer = make_mailer(data_dir=tmp_path)
    send(mailer)
    assert mailer.breaker is None
