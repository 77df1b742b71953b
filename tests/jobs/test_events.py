"""What became of a mail → the events that tell it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.jobs import InvalidPayload, find
from app.mail.mailer import Mailer
from app.queue import outcome as outcomes
from app.queue.job import Job
from app.queue.submission import NewJob, pack
from tests.jobs.conftest import Configure
from tests.jobs.receiver import SECRET
from tests.mail.support import CREATED_AT, EXAMPLE, MakeMailer, make_job

URL = "https://hooks.example/mail"
NOW = CREATED_AT + 60
SENT = {"status": "sent", "code": 250, "reply": "OK"}
BOUNCED = {"status": "bounced", "code": 550, "reply": "5.1.1 No such user"}
DEFERRED = {"status": "deferred", "code": 450, "reply": "4.2.0 Later"}
PAYLOAD = EXAMPLE | {"to": ["a@example.com", "b@example.com"]}


@pytest.fixture(autouse=True)
def mailer(make_mailer: MakeMailer) -> Mailer:
    return make_mailer()


def result_of(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return {"recipients": {"a@example.com": a, "b@example.com": b}}


def mail_job(**attributes: Any) -> Job:
    usual = {"token": "t", "attempts": 2, "tags": ("orders",)}
    return make_job(PAYLOAD, **(usual | attributes))


def follow_ups(job: Job, outcome: outcomes.Outcome, now: float = NOW) -> list[NewJob]:
    follow_ups = find("send_email").follow_ups
    assert follow_ups
    return list(follow_ups(job, outcome, now))


def told(job: Job, outcome: outcomes.Outcome) -> dict[str, Any]:
    """The events by type, each with its data."""
    events = [json.loads(one.payload)["event"] for one in follow_ups(job, outcome)]
    return {event["type"]: event["data"] for event in events}


def who(data: dict[str, Any]) -> dict[str, str]:
    return {recipient["email"]: recipient["status"] for recipient in data["recipients"]}


def test_a_mail_that_went_out_is_one_event(configure: Configure) -> None:
    configure(webhook_url=URL)

    [job] = follow_ups(mail_job(), outcomes.completed(mail_job(), result_of(SENT, SENT)))

    assert job.job_type == "webhook"
    assert job.priority == "low"
    assert job.title == "mail.sent of job 7"
    payload = json.loads(job.payload)
    assert payload["url"] == URL
    assert payload["id"].startswith("evt_")
    recipient = {"code": 250, "reply": "OK", "status": "sent"}
    assert payload["event"] == {
        "type": "mail.sent",
        "timestamp": "2025-06-01T13:20:55.842Z",
        "data": {
            "job_id": 7,
            "attempt": 2,
            "subject": "Test Email",
            "tags": ["orders"],
            "recipients": [
                {"email": "a@example.com"} | recipient,
                {"email": "b@example.com"} | recipient,
            ],
            "error": None,
        },
    }


def test_each_recipient_is_in_the_event_that_is_his(configure: Configure) -> None:
    configure(webhook_url=URL)

    partial = told(mail_job(), outcomes.completed(mail_job(), result_of(SENT, BOUNCED)))
    later = told(
        mail_job(),
        outcomes.failed(
            mail_job(), "450 Later", retry_in_ms=1, result=result_of(BOUNCED, DEFERRED)
        ),
    )

    assert {name: who(data) for name, data in partial.items()} == {
        "mail.sent": {"a@example.com": "sent"},
        "mail.bounced": {"b@example.com": "bounced"},
    }
    assert {name: who(data) for name, data in later.items()} == {
        "mail.bounced": {"a@example.com": "bounced"},
        "mail.deferred": {"b@example.com": "deferred"},
    }
    assert later["mail.deferred"]["error"] == "450 Later"


def test_what_an_earlier_attempt_told_is_not_told_again(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = mail_job(result=result_of(SENT, DEFERRED))

    events = told(job, outcomes.completed(job, result_of(SENT, SENT)))

    assert {name: who(data) for name, data in events.items()} == {
        "mail.sent": {"b@example.com": "sent"}
    }


def test_a_mail_that_is_given_up_tells_of_all_who_did_not_get_it(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = mail_job(result=result_of(SENT, DEFERRED))

    end = outcomes.failed(job, "Given up", retry_in_ms=None, result=result_of(SENT, DEFERRED))
    events = told(job, end)

    assert list(events) == ["mail.failed"]
    assert who(events["mail.failed"]) == {"b@example.com": "deferred"}
    assert events["mail.failed"]["error"] == "Given up"


def test_all_bounced_is_told_as_bounced_and_then_as_failed(configure: Configure) -> None:
    configure(webhook_url=URL)
    end = outcomes.failed(
        mail_job(), "No such user", retry_in_ms=None, result=result_of(BOUNCED, BOUNCED)
    )
    assert list(told(mail_job(), end)) == ["mail.bounced", "mail.failed"]


def test_those_that_a_person_had_tried_again_bounce_again(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = mail_job(result=result_of(SENT, BOUNCED))
    end = outcomes.failed(job, "No", retry_in_ms=None, result=result_of(SENT, BOUNCED))

    assert who(told(job, end)["mail.bounced"]) == {"b@example.com": "bounced"}


def test_an_attempt_that_left_no_result_is_told_too(configure: Configure) -> None:
    configure(webhook_url=URL)
    timed_out = outcomes.failed(mail_job(), "Timed out after 1800 s.", retry_in_ms=1000)

    events = told(mail_job(), timed_out)

    assert list(events) == ["mail.deferred"]
    assert who(events["mail.deferred"]) == {"a@example.com": "pending", "b@example.com": "pending"}


def test_a_job_given_back_or_cancelled_before_it_sent_is_no_event(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = mail_job(cancel_requested=True)

    assert told(job, outcomes.released(job, reason="The worker was stopped.")) == {}
    assert told(job, outcomes.cancelled(job, "Cancelled while running.")) == {}
    # With a retry in mind, but the queue cancels it instead.
    assert told(job, outcomes.failed(job, "450 Later", retry_in_ms=1)) == {}


def test_a_mail_that_can_no_longer_be_read_is_failed_without_recipients(
    configure: Configure,
) -> None:
    configure(webhook_url=URL)
    job = mail_job()
    job.payload, job.data = "{}", None

    events = told(job, outcomes.failed(job, "Invalid payload: to", retry_in_ms=None))

    assert events["mail.failed"]["recipients"] == []
    assert events["mail.failed"]["subject"] is None


def test_a_mail_that_ran_in_a_process_of_its_own_is_read_again(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = mail_job()
    job.data = None

    events = told(job, outcomes.completed(job, result_of(SENT, SENT)))

    assert events["mail.sent"]["subject"] == "Test Email"


def test_only_the_events_asked_for_are_told(configure: Configure) -> None:
    configure(webhook_url=URL, webhook_events=("bounced",))
    end = outcomes.completed(mail_job(), result_of(SENT, BOUNCED))
    assert list(told(mail_job(), end)) == ["mail.bounced"]


def test_without_a_webhook_nothing_follows(configure: Configure) -> None:
    configure()
    assert follow_ups(mail_job(), outcomes.completed(mail_job(), result_of(SENT, SENT))) == []


def test_a_mails_own_webhook_goes_before_the_common_one(configure: Configure) -> None:
    configure(webhook_url=URL)
    job = make_job(PAYLOAD | {"webhook": "https://own.example/"}, token="t")

    [follow_up] = follow_ups(job, outcomes.completed(job, result_of(SENT, SENT)))

    assert json.loads(follow_up.payload)["url"] == "https://own.example/"


@pytest.mark.parametrize(
    ("url", "settings", "rule"),
    [
        ("http://hooks.example/", {"webhook_allow_private": False}, "Must begin with https://"),
        ("https://10.0.0.1/", {"webhook_allow_private": False}, "not a public address"),
        ("https://hooks.example/", {"webhook_secret": ""}, "WEBHOOK_SECRET is not set"),
        (7, {}, "Not a valid string"),
    ],
)
def test_a_webhook_that_no_event_could_go_to_is_refused_at_submission(
    configure: Configure, url: Any, settings: dict[str, Any], rule: str
) -> None:
    configure(**settings)
    with pytest.raises(InvalidPayload) as raised:
        find("send_email").validate(json.dumps(PAYLOAD | {"webhook": url}))
    assert rule in raised.value.errors["webhook"][0]


def test_the_same_attempt_makes_the_same_keys_and_ids(configure: Configure) -> None:
    configure(webhook_url=URL)
    end = outcomes.completed(mail_job(), result_of(SENT, BOUNCED))

    first, again = (follow_ups(mail_job(), end) for _ in range(2))
    other_attempt = follow_ups(mail_job(attempts=3), end)
    other_installation = follow_ups(mail_job(created_at=CREATED_AT + 1), end)

    assert [pack(one) for one in first] == [pack(one) for one in again]
    keys = {one.idempotency_key for one in first + other_attempt}
    ids = {json.loads(one.payload)["id"] for one in first + other_attempt + other_installation}
    assert (len(keys), len(ids)) == (4, 6)


def test_events_hold_no_secret(configure: Configure) -> None:
    configure(webhook_url=URL)
    [job] = follow_ups(mail_job(), outcomes.completed(mail_job(), result_of(SENT, SENT)))
    assert SECRET not in job.payload and SECRET[6:] not in job.payload
