"""Real workers tell a real receiver what a real SMTP server made of mails."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

from app.queue.job import Status
from app.queue.suppressions import Suppressions
from tests.jobs.receiver import SECRET, Received, Receiver
from tests.mail.scripted import ScriptedServer, Talk
from tests.mail.sink import SmtpSink
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System

NO_SUCH_USER = "550 5.1.1 No such user"


def settings(smtp: SmtpSink | ScriptedServer, receiver: Receiver, **more: str) -> dict[str, str]:
    return {
        "SMTP_HOST": smtp.host,
        "SMTP_PORT": str(smtp.port),
        "SMTP_SECURITY": "none",
        "WEBHOOK_URL": receiver.url,
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_ALLOW_PRIVATE": "1",
        **more,
    }


def submit_mail(system: System, *to: str, **payload: Any) -> int:
    mail = {"to": list(to), "subject": "Test", "message": "Hello"} | payload
    return system.queue.submit("send_email", json.dumps(mail))


def types(received: list[Received]) -> Counter[str]:
    return Counter(one.event["type"] for one in received)


def test_each_event_arrives_signed_and_is_tried_again_under_its_id(system: System) -> None:
    with SmtpSink(replies={"b@example.com": NO_SUCH_USER}) as sink, Receiver(503, 204) as receiver:
        system.start(RETRY)
        system.start(**settings(sink, receiver))
        job_id = submit_mail(system, "a@example.com", "b@example.com")
        received = receiver.wait_for(3)
        system.wait_for_all(Status.SUCCESS, 3)

    for one in received:
        one.check_signature(SECRET)
        assert one.event["data"]["job_id"] == job_id
    refused, *others = received
    again = [one for one in others if one.headers["webhook-id"] == refused.headers["webhook-id"]]
    assert [one.body for one in again] == [refused.body]
    assert types(others) == {"mail.sent": 1, "mail.bounced": 1}


def test_a_bounced_address_is_not_asked_again_by_jobs_that_were_there_already(
    system: System,
) -> None:
    with SmtpSink(replies={"b@example.com": NO_SUCH_USER}) as sink, Receiver() as receiver:
        own = {"webhook": receiver.url}
        system.start(**settings(sink, receiver, WEBHOOK_URL="", WORKER_CONCURRENCY="1"))
        first = submit_mail(system, "b@example.com")
        second = submit_mail(system, "B@example.com", **own)
        job = system.wait_for(second, Status.PERMANENTLY_FAILED)
        received = receiver.wait_for(2)

    assert job.last_error == (
        f"B@example.com: On the suppression list: No such mailbox ({NO_SUCH_USER})"
    )
    [entry] = Suppressions(system.client).page().found
    assert (entry.address, entry.job_id, entry.code) == ("b@example.com", first, 550)
    # One slot, and no failures: in order.
    assert [one.event["type"] for one in received] == ["mail.bounced", "mail.failed"]
    assert sink.mails == []


def test_switched_off_nobody_is_suppressed(system: System) -> None:
    with SmtpSink(replies={"b@example.com": [NO_SUCH_USER, ""]}) as sink, Receiver() as receiver:
        system.start(**settings(sink, receiver, MAIL_SUPPRESSION="0", WORKER_CONCURRENCY="1"))
        submit_mail(system, "b@example.com")
        second = submit_mail(system, "b@example.com")
        system.wait_for(second, Status.SUCCESS)

    assert Suppressions(system.client).page().total == 0


def test_redis_away_at_the_end_of_an_attempt_changes_no_outcome_and_loses_no_event(
    mortal_system: System, own_server: OwnServer
) -> None:
    has_it, answer = threading.Event(), threading.Event()

    def hold(talk: Talk) -> None:
        has_it.set()
        assert answer.wait(60)
        talk.say("250 2.0.0 OK")

    with ScriptedServer({".": hold}) as smtp, Receiver() as receiver:
        mortal_system.start(RETRY, LEASE_SECONDS="60")
        mortal_system.start(**settings(smtp, receiver, LEASE_SECONDS="60"))
        job_id = submit_mail(mortal_system, "a@example.com")
        assert has_it.wait(60)
        own_server.kill()
        answer.set()
        own_server.start()
        received = receiver.wait_for(1)
        job = mortal_system.wait_for(job_id, Status.SUCCESS)

    assert types(received) == {"mail.sent": 1}
    assert (job.attempts, job.retry_count, len(smtp.mails)) == (1, 0, 1)


def test_a_mail_that_is_deferred_is_told_and_then_sent(system: System) -> None:
    replies = {"a@example.com": ["450 4.2.0 Greylisted", ""]}
    with SmtpSink(replies=replies) as sink, Receiver() as receiver:
        system.start(RETRY)
        system.start(**settings(sink, receiver))
        submit_mail(system, "a@example.com")
        received = receiver.wait_for(2)

    deferred, sent = sorted((one.event for one in received), key=lambda e: e["timestamp"])
    assert (deferred["type"], sent["type"]) == ("mail.deferred", "mail.sent")
    assert (deferred["data"]["attempt"], sent["data"]["attempt"]) == (1, 2)
    [recipient] = deferred["data"]["recipients"]
    assert (recipient["status"], recipient["code"]) == ("deferred", 450)
