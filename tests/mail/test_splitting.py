"""Too many recipients for one transaction: the rest goes in another, now, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from app.queue.outcome import PermanentFailure, RetryLater
from tests.mail.scripted import Reply, ScriptedServer, Talk
from tests.mail.support import EXAMPLE, MakeMailer, make_job

FIVE = [f"{name}@example.com" for name in "abcde"]
PAYLOAD = EXAMPLE | {"to": FIVE[:3], "bcc": FIVE[3:]}
TOO_MANY = "452 4.5.3 Too many recipients"


class Limited:
    """Takes so many recipients in one transaction, and refuses those named for good."""

    def __init__(self, limit: int, refusal: str = TOO_MANY, unknown: tuple[str, ...] = ()) -> None:
        self.limit, self.refusal, self.unknown = limit, refusal, unknown
        self.taken: list[list[str]] = []
        self.asked = 0

    def mail(self, talk: Talk) -> None:
        self.taken.append([])
        talk.say("250 2.1.0 OK")

    def rcpt(self, talk: Talk) -> None:
        self.asked += 1
        address = talk.server.commands[-1].partition("<")[2].rstrip(">")
        if address in self.unknown:
            talk.say("550 5.1.1 No such user")
        elif len(self.taken[-1]) >= self.limit:
            talk.say(self.refusal)
        else:
            self.taken[-1].append(address)
            talk.say("250 2.1.5 OK")


def sent_to(make_mailer: MakeMailer, limited: Limited, *extensions: str) -> tuple[Any, list[bytes]]:
    script: dict[str, Reply | list[Reply]] = {"MAIL": limited.mail, "RCPT": limited.rcpt}
    with ScriptedServer(script, extensions=extensions) as server:
        job = make_job(PAYLOAD)
        result = make_mailer(server).send(job, job.data)
        assert server.connections == 1
        assert server.heard("RSET") == 0
    return result, server.mails


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
@pytest.mark.parametrize("refusal", [TOO_MANY, "552 Too many recipients"])
def test_those_who_were_too_many_go_in_other_transactions_now(
    make_mailer: MakeMailer, refusal: str, extensions: tuple[str, ...]
) -> None:
    limited = Limited(2, refusal)
    result, mails = sent_to(make_mailer, limited, *extensions)
    assert limited.taken == [FIVE[:2], FIVE[2:4], FIVE[4:]]
    assert limited.asked == 5 + 2 + 1  # what the first taught
    assert len(mails) == 3
    assert len(set(mails)) == 1
    assert {entry["status"] for entry in result["recipients"].values()} == {"sent"}
    assert "partial" not in result


def test_a_bounce_among_them_makes_it_partial(make_mailer: MakeMailer) -> None:
    limited = Limited(1, unknown=("b@example.com", "c@example.com"))
    result, mails = sent_to(make_mailer, limited)
    statuses = [entry["status"] for entry in result["recipients"].values()]
    assert statuses == ["sent", "bounced", "bounced", "sent", "sent"]
    assert (result["partial"], len(mails)) == (True, 3)


def test_one_full_mailbox_is_asked_once_more_and_then_deferred(make_mailer: MakeMailer) -> None:
    full = "452 4.2.2 The mailbox is full"
    script: dict[str, Any] = {"RCPT": ["250 OK", full, "250 OK", "250 OK", "250 OK", full]}
    with ScriptedServer(script) as server:
        job = make_job(PAYLOAD)
        with pytest.raises(RetryLater, match="mailbox is full") as raised:
            make_mailer(server).send(job, job.data)
        assert (server.heard("MAIL"), len(server.mails)) == (2, 1)
    statuses = [entry["status"] for entry in raised.value.result["recipients"].values()]
    assert statuses == ["sent", "deferred", "sent", "sent", "sent"]


def test_a_server_that_takes_nobody_is_not_asked_again_now(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"RCPT": "452 4.3.1 Out of storage"}) as server:
        job = make_job(PAYLOAD)
        with pytest.raises(RetryLater) as raised:
            make_mailer(server).send(job, job.data)
        assert (server.heard("MAIL"), server.heard("RCPT")) == (1, 5)
    assert raised.value.smtp_code == 452
    assert raised.value.delay_seconds >= 150


def test_a_refusal_of_the_second_message_ends_the_splitting(make_mailer: MakeMailer) -> None:
    limited = Limited(2)
    script: dict[str, Any] = {
        "MAIL": limited.mail,
        "RCPT": limited.rcpt,
        ".": ["250 OK", "554 5.7.1 Too much mail"],
    }
    with ScriptedServer(script) as server:
        job = make_job(PAYLOAD)
        with pytest.raises(RetryLater) as raised:
            make_mailer(server).send(job, job.data)
    statuses = [entry["status"] for entry in raised.value.result["recipients"].values()]
    assert statuses == ["sent", "sent", "bounced", "bounced", "deferred"]


# ── Commands sent together (RFC 2920) ───────────────────────────────────────────────────────


def test_commands_go_together_only_where_that_is_offered(make_mailer: MakeMailer) -> None:
    for extensions, unread in [((), 0), (("PIPELINING",), 5)]:
        seen: list[int] = []

        def count(talk: Talk, seen: list[int] = seen) -> None:
            seen.append(talk.unread.count(b"\r\n"))
            talk.say("250 OK")

        with ScriptedServer({"MAIL": count}, extensions=extensions) as server:
            job = make_job(PAYLOAD)
            make_mailer(server).send(job, job.data)
        assert seen == [unread]


@pytest.mark.parametrize(
    ("reply", "error"), [("550 5.7.1 No", PermanentFailure), ("451 4.3.0 Not now", RetryLater)]
)
def test_a_sender_refused_leaves_no_answers_to_be_mistaken(
    make_mailer: MakeMailer, reply: str, error: type[Exception]
) -> None:
    script: dict[str, Any] = {"MAIL": [reply], "RCPT": ["503 5.5.1 MAIL first"] * 5}
    with ScriptedServer(script, extensions=("PIPELINING",)) as server:
        mailer, job = make_mailer(server), make_job(PAYLOAD)
        with pytest.raises(error, match=reply):
            mailer.send(job, job.data)
        job = make_job(PAYLOAD)
        assert len(mailer.send(job, job.data)["recipients"]) == 5
        assert server.connections == 1


def test_a_421_among_the_answers_ends_them(make_mailer: MakeMailer) -> None:
    script: dict[str, Any] = {"RCPT": ["250 OK", "550 5.1.1 No", "421 4.3.2 Closing down"]}
    with ScriptedServer(script, extensions=("PIPELINING",)) as server:
        job = make_job(PAYLOAD)
        with pytest.raises(RetryLater) as raised:
            make_mailer(server).send(job, job.data)
        assert server.heard("DATA") == 0
    statuses = [entry["status"] for entry in raised.value.result["recipients"].values()]
    assert statuses == ["pending", "bounced", "pending", "pending", "pending"]
