"""Mail keeps to the rates of its recipients' domains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.mail.pacing import Pacing
from app.queue.errors import QueueUnavailable
from app.queue.outcome import GiveBack
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job

RATES = (("gmail.com", 20.0), ("*", 50.0))


class Asked:
    """Stands for `JobQueue.take`."""

    def __init__(self, wait_ms: int = 0) -> None:
        self.wait_ms = wait_ms
        self.calls: list[tuple[int, dict[str, float]]] = []

    def __call__(self, job_id: int, intervals_ms: Mapping[str, float]) -> int:
        self.calls.append((job_id, dict(intervals_ms)))
        return self.wait_ms


def test_each_domain_has_its_rate_or_the_one_of_all_others() -> None:
    asked = Asked(wait_ms=1500)

    wait_seconds = Pacing(RATES, asked).wait_seconds(7, ["gmail.com", "a.example", "b.example"])

    assert wait_seconds == 1.5
    limits = {"domain:gmail.com": 50.0, "domain:a.example": 20.0, "domain:b.example": 20.0}
    assert asked.calls == [(7, limits)]


def test_a_domain_without_a_rate_asks_nobody() -> None:
    asked = Asked(wait_ms=1500)
    pacing = Pacing(RATES[:1], asked)

    assert pacing.wait_seconds(7, ["a.example"]) == 0.0
    assert asked.calls == []


def test_a_mail_whose_turn_has_not_come_is_given_back_before_the_server_hears_of_it(
    make_mailer: MakeMailer,
) -> None:
    asked = Asked(wait_ms=1500)
    job_payload = EXAMPLE | {"to": ["a@Gmail.com", "b@gmail.com"], "cc": "c@bücher.example"}
    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        mailer.pace(Pacing(RATES, asked))
        job = make_job(job_payload)
        with pytest.raises(GiveBack) as given_back:
            mailer.send(job, job.data)
        assert sink.connections == 0
        asked.wait_ms = 0
        mailer.send(job, job.data)
        assert len(sink.wait_for(1)) == 1
    assert given_back.value.delay_seconds == 1.5
    limits = {"domain:gmail.com": 50.0, "domain:xn--bcher-kva.example": 20.0}
    assert asked.calls == [(7, limits)] * 2


def test_without_redis_nothing_is_sent(make_mailer: MakeMailer) -> None:
    def away(_job_id: int, _intervals_ms: Mapping[str, float]) -> int:
        raise QueueUnavailable("Redis is away: gone")

    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        mailer.pace(Pacing(RATES, away))
        job = make_job()
        with pytest.raises(QueueUnavailable):
            mailer.send(job, job.data)
        assert sink.connections == 0


def test_the_local_mailbox_has_no_rates(make_mailer: MakeMailer, tmp_path: Path) -> None:
    asked = Asked(wait_ms=1500)
    mailer = make_mailer(data_dir=tmp_path)
    mailer.pace(Pacing(RATES, asked))
    job = make_job()
    mailer.send(job, job.data)
    assert asked.calls == []
