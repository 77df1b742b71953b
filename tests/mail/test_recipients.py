"""Several recipients: each has a status of its own, and later attempts go to those left."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.mail.addresses import parse_address
from app.mail.outcomes import Reply
from app.mail.recipients import RecipientBook, RecipientStatus
from app.queue.outcome import RESULT_MAX_BYTES, PermanentFailure, RetryLater
from tests.mail.scripted import ScriptedServer, close, then_close
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job

THREE = EXAMPLE | {"to": ["a@example.com", "b@example.com"], "bcc": "c@example.com"}


def statuses(result: Any) -> list[str]:
    return [entry["status"] for entry in result["recipients"].values()]


def test_the_next_attempt_goes_only_to_those_left(make_mailer: MakeMailer) -> None:
    replies: dict[str, Any] = {
        "b@example.com": ["450 4.2.0 Greylisted"],
        "c@example.com": "550 5.1.1 Unknown",
    }
    with SmtpSink(replies=replies) as sink:
        mailer, job = make_mailer(sink), make_job(THREE)
        with pytest.raises(RetryLater) as raised:
            mailer.send(job, job.data)
        assert statuses(raised.value.result) == ["sent", "deferred", "bounced"]
        assert raised.value.smtp_code == 450

        job = make_job(THREE, retry_count=1, result=json.loads(json.dumps(raised.value.result)))
        result = mailer.send(job, job.data)
        assert statuses(result) == ["sent", "sent", "bounced"]
        assert result["partial"] is True
        first, second = sink.wait_for(2)
    assert (first.recipients, second.recipients) == (["a@example.com"], ["b@example.com"])
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_a_mail_that_all_refuse_fails_for_good(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "550 5.1.1 Unknown"}) as server:
        mailer, job = make_mailer(server), make_job(THREE)
        with pytest.raises(PermanentFailure) as raised:
            mailer.send(job, job.data)
        assert server.heard("DATA") == 0
    assert statuses(raised.value.result) == ["bounced"] * 3
    assert "partial" not in raised.value.result


def test_those_not_asked_when_the_server_closes_down_stay_pending(
    make_mailer: MakeMailer,
) -> None:
    script: dict[str, Any] = {"RCPT": ["550 5.1.1 No", "250 OK", then_close("421 Closing down")]}
    with ScriptedServer(script) as server:
        mailer, job = make_mailer(server), make_job(THREE)
        with pytest.raises(RetryLater) as raised:
            mailer.send(job, job.data)
        assert server.heard("DATA") == 0
    assert statuses(raised.value.result) == ["bounced", "pending", "pending"]


def test_a_refused_message_leaves_those_deferred_before_it_deferred(
    make_mailer: MakeMailer,
) -> None:
    script: dict[str, Any] = {"RCPT": ["450 Later", "550 No"], ".": "554 5.7.1 Spam"}
    with ScriptedServer(script) as server:
        mailer, job = make_mailer(server), make_job(THREE)
        with pytest.raises(RetryLater) as raised:
            mailer.send(job, job.data)
    assert statuses(raised.value.result) == ["deferred", "bounced", "bounced"]
    assert raised.value.smtp_code == 554


def test_an_ambiguous_end_keeps_what_is_certain(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": ["550 No"], ".": close}) as server:
        mailer, job = make_mailer(server), make_job(THREE)
        with pytest.raises(RetryLater) as raised:
            mailer.send(job, job.data)
    assert statuses(raised.value.result) == ["bounced", "pending", "pending"]


def test_a_job_retried_by_hand_asks_the_bounced_again(make_mailer: MakeMailer) -> None:
    previous = {
        "recipients": {
            "a@example.com": {"status": "sent", "code": 250, "reply": "OK"},
            "b@example.com": {"status": "bounced", "code": 550, "reply": "No"},
            "c@example.com": {"status": "bounced", "code": 550, "reply": "No"},
        }
    }
    with SmtpSink() as sink:
        job = make_job(THREE, result=previous)
        result = make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    assert mail.recipients == ["b@example.com", "c@example.com"]
    assert statuses(result) == ["sent"] * 3


def test_a_job_that_has_nothing_left_sends_nothing(make_mailer: MakeMailer) -> None:
    previous = {"recipients": {"user@example.com": {"status": "sent"}}}
    with SmtpSink() as sink:
        job = make_job(result=previous)
        assert statuses(make_mailer(sink).send(job, job.data)) == ["sent"]
        assert sink.connections == 0


@pytest.mark.parametrize(
    "result", [None, "text", [], {}, {"recipients": 7}, {"recipients": {"user@example.com": 1}}]
)
def test_a_result_of_another_shape_is_no_obstacle(make_mailer: MakeMailer, result: Any) -> None:
    with SmtpSink() as sink:
        job = make_job(result=result)
        assert statuses(make_mailer(sink).send(job, job.data)) == ["sent"]


def test_the_result_of_fifty_recipients_can_be_kept() -> None:
    addresses = tuple(parse_address(f"{'x' * 60}{n}@{'y' * 60}.example.com") for n in range(50))
    book = RecipientBook(addresses, None)
    for address in addresses:
        book.settle(address.email, RecipientStatus.BOUNCED, Reply(550, "é" * 256))
    assert len(json.dumps(book.as_result())) < RESULT_MAX_BYTES * 0.9
