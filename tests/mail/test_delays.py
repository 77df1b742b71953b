"""How long mail waits."""

from __future__ import annotations

import random

import pytest

from app.mail.delays import asked_for_seconds, deferred_delay, network_delay

RNG = random.Random(3)


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(0, 30), (1, 60), (3, 240), (5, 600), (20, 600), (10_000, 600)]
)
def test_network_failures_wait_at_random_up_to_ten_minutes(failures: int, ceiling: float) -> None:
    delays = [network_delay(failures, 30, RNG) for _ in range(500)]
    assert min(delays) >= 1
    assert ceiling * 0.9 < max(delays) <= ceiling
    assert min(delays) < ceiling * 0.2


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 300), (1, 600), (4, 4_800), (6, 14_400), (10_000, 14_400)]
)
def test_deferred_mail_waits_from_minutes_to_hours(failures: int, longest: float) -> None:
    delays = [deferred_delay(failures, 30, RNG) for _ in range(500)]
    assert longest / 2 <= min(delays) < longest * 0.55
    assert longest * 0.95 < max(delays) <= longest


def test_the_base_scales_every_delay() -> None:
    assert all(0.3 <= network_delay(9, 0.3, RNG) <= 6 for _ in range(200))
    assert all(72 <= deferred_delay(9, 0.3, RNG) <= 144 for _ in range(200))
    assert deferred_delay(0, 0.3, RNG, "try again in 900 seconds") == 144


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        ("450 4.7.1 Greylisted, please try again in 300 seconds", 300),
        ("451 Try again in 5 minutes", 300),
        ("450 Greylisted for 2 hours", 7_200),
        ("451 4.7.1 Please retry after 60s.", 60),
        ("450 4.2.0 try again later (90 sec)", 90),
        ("451 4.3.0 Temporary failure", None),
        ("450 4.2.1 try again later", None),
        ("450 host 10.0.0.1 said no", None),
    ],
)
def test_a_wait_that_the_server_names_is_understood(reply: str, seconds: float | None) -> None:
    assert asked_for_seconds(reply) == seconds


def test_a_wait_is_kept_to_but_not_for_ever() -> None:
    asked = [deferred_delay(0, 30, RNG, "retry in 20 minutes") for _ in range(50)]
    assert all(1_200 <= delay <= 1_320 for delay in asked)
    assert deferred_delay(0, 30, RNG, "retry in 90 hours") == 14_400
    assert deferred_delay(0, 30, RNG, "retry in 0 seconds") == 1
