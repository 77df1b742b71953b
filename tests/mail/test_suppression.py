"""Whoever refused a mail for good is not asked again."""

from __future__ import annotations

import pytest
import redis

from app.mail.mailer import Mailer
from app.mail.outcomes import Reply
from app.mail.suppression import is_hard_bounce
from app.queue.connection import connect
from app.queue.outcome import GiveBack, PermanentFailure, RetryLater
from app.queue.suppressions import Suppression, Suppressions
from tests.mail.scripted import ScriptedServer
from tests.mail.sink import SmtpSink
from tests.mail.support import CREATED_AT, EXAMPLE, MakeMailer, make_job

PAYLOAD = EXAMPLE | {"to": ["a@example.com", "b@example.com"], "bcc": "c@example.com"}
NO_SUCH_USER = "550 5.1.1 No such user"


@pytest.fixture
def suppressions(fake_client: redis.Redis) -> Suppressions:
    return Suppressions(fake_client)


def heeding(mailer: Mailer, suppressions: Suppressions) -> Mailer:
    mailer._suppressions = suppressions
    return mailer


def test_a_recipient_refused_for_good_comes_onto_the_list(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    with SmtpSink(replies={"B@example.com": NO_SUCH_USER}) as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(PAYLOAD | {"cc": "B@example.com"}, worker="w1")
        mailer.send(job, job.data)

    [entry] = suppressions.page().found
    assert entry == Suppression(
        "b@example.com",
        f"No such mailbox ({NO_SUCH_USER})",
        CREATED_AT + 5,
        "worker w1",
        550,
        7,
    )


@pytest.mark.parametrize(
    ("reply", "is_hard"),
    [
        ("550 5.1.1 No such user", True),
        ("553 5.1.3 Bad address", True),
        ("550 5.1.10 Null MX", True),
        ("550 5.1.100 Unheard of", False),
        ("550 5.1.8 Your domain", False),  # the sender's
        ("550 5.1.7 Your address", False),
        ("550 5.2.1 Disabled", False),
        ("550 5.7.1 Policy", False),
        ("550 No such user", False),
        ("450 4.1.1 Perhaps later", False),
        ("450 5.1.1 Undecided", False),
        ("250 5.1.1 OK", False),
    ],
)
def test_only_answers_that_speak_of_the_recipient_count(reply: str, is_hard: bool) -> None:
    code, _, text = reply.partition(" ")
    assert is_hard_bounce(Reply(int(code), text)) is is_hard


def test_a_refusal_of_the_whole_mail_puts_nobody_onto_the_list(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    with SmtpSink(replies={".": NO_SUCH_USER}) as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(PAYLOAD)
        with pytest.raises(PermanentFailure):
            mailer.send(job, job.data)

    assert suppressions.page().total == 0


def test_a_bounce_counts_although_the_connection_is_lost_after_it(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    script = {"RCPT": [NO_SUCH_USER, "250 OK", "250 OK"], "DATA": "421 4.3.2 Shutting down"}
    with ScriptedServer(script) as server:
        mailer = heeding(make_mailer(server), suppressions)
        job = make_job(PAYLOAD)
        with pytest.raises(RetryLater):
            mailer.send(job, job.data)

    assert [entry.address for entry in suppressions.page().found] == ["a@example.com"]


def test_a_suppressed_recipient_counts_as_bounced_and_the_others_get_their_mail(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    suppressions.add(Suppression("B@example.com", "No such mailbox", 1.0, "worker w1", 550, 1))
    with SmtpSink() as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(PAYLOAD)
        result = mailer.send(job, job.data)

    assert sink.mails[0].recipients == ["a@example.com", "c@example.com"]
    assert result["recipients"]["b@example.com"] == {
        "status": "bounced",
        "reply": "On the suppression list: No such mailbox",
    }
    assert result["partial"] is True


def test_a_mail_to_suppressed_recipients_alone_is_given_up_unsent(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    suppressions.add(Suppression("user@example.com", "asked not to", 1.0, "api"))
    with SmtpSink() as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job()
        with pytest.raises(PermanentFailure) as raised:
            mailer.send(job, job.data)

    assert str(raised.value) == "user@example.com: On the suppression list: asked not to"
    assert sink.connections == 0


def test_a_recipient_who_was_sent_to_before_stays_sent(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    suppressions.add(Suppression("a@example.com", "asked not to", 1.0, "api"))
    before = {"a@example.com": {"status": "sent"}, "b@example.com": {"status": "deferred"}}
    with SmtpSink() as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(PAYLOAD, result={"recipients": before})
        result = mailer.send(job, job.data)

    assert result["recipients"]["a@example.com"] == {"status": "sent"}


def test_a_removed_address_is_sent_to_when_a_person_retries(
    make_mailer: MakeMailer, suppressions: Suppressions
) -> None:
    before = {"user@example.com": {"status": "bounced", "reply": "On the suppression list: x"}}
    with SmtpSink() as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(result={"recipients": before})
        result = mailer.send(job, job.data)

    assert result["recipients"]["user@example.com"]["status"] == "sent"


def test_without_redis_nothing_is_sent_and_no_attempt_charged(make_mailer: MakeMailer) -> None:
    away = Suppressions(connect("redis://127.0.0.1:1", name="tests"))
    with SmtpSink() as sink:
        mailer = heeding(make_mailer(sink), away)
        job = make_job()
        with pytest.raises(GiveBack, match="Redis is away"):
            mailer.send(job, job.data)

    assert sink.connections == 0


def test_redis_going_away_after_the_attempt_changes_nothing(
    make_mailer: MakeMailer, suppressions: Suppressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Suppressions(connect("redis://127.0.0.1:1", name="tests"))
    monkeypatch.setattr(suppressions, "add", away.add)
    with SmtpSink(replies={"b@example.com": NO_SUCH_USER}) as sink:
        mailer = heeding(make_mailer(sink), suppressions)
        job = make_job(PAYLOAD)
        result = mailer.send(job, job.data)

    assert result["recipients"]["b@example.com"]["status"] == "bounced"
    assert result["partial"] is True
