"""Between the mark before DATA and the acknowledgement lies all that can send a mail twice."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.mail.dialogue import Dialogue
from app.mail.outcomes import Phase, Reply
from app.mail.smtp import Connection
from app.mail.transaction import Transaction
from app.queue.errors import LeaseLost, QueueUnavailable
from app.queue.outcome import GiveBack, JobCancelled, PermanentFailure, RetryLater
from tests.mail.scripted import ScriptedServer, close
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job

HOLD = EXAMPLE | {"on_ambiguous": "hold"}
THREE = EXAMPLE | {"to": ["a@example.com", "b@example.com", "c@example.com"]}
TWO_TRANSACTIONS = ("250 OK", "452 4.5.3 Too many", "452 4.5.3 Too many")
PIPELINING = pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])


class Interruption(BaseException):
    """As the worker raises it in the job's thread."""


def statuses(result: Any) -> list[str]:
    return [entry["status"] for entry in result["recipients"].values()]


# ── The mark ────────────────────────────────────────────────────────────────────────────────


@PIPELINING
def test_the_job_is_marked_between_the_recipients_and_the_message(
    make_mailer: MakeMailer, extensions: tuple[str, ...]
) -> None:
    heard_before: list[str] = []

    def mark() -> bool:
        heard_before.extend(line.split()[0] for line in server.commands)
        return True

    with ScriptedServer(extensions=extensions) as server:
        job = make_job(mark_sending=mark)
        assert statuses(make_mailer(server).send(job, job.data)) == ["sent"]
        assert [line.split()[0] for line in server.commands] == [*heard_before, "DATA"]
    assert [verb.upper() for verb in heard_before] == ["EHLO", "MAIL", "RCPT"]


@PIPELINING
def test_a_job_that_was_cancelled_in_time_sends_nothing(
    make_mailer: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with ScriptedServer(extensions=extensions) as server:
        mailer = make_mailer(server)
        job = make_job(mark_sending=lambda: False, cancel_requested=True)
        with pytest.raises(JobCancelled) as raised:
            mailer.send(job, job.data)
        assert statuses(raised.value.result) == ["pending"]
        assert (server.heard("RSET"), server.heard("DATA"), server.mails) == (1, 0, [])
        job = make_job()
        assert statuses(mailer.send(job, job.data)) == ["sent"]
        assert (server.connections, server.heard("RSET")) == (1, 1)


def test_a_job_whose_lease_is_lost_sends_nothing(make_mailer: MakeMailer) -> None:
    with ScriptedServer() as server:
        job = make_job(mark_sending=lambda: False)
        with pytest.raises(LeaseLost):
            make_mailer(server).send(job, job.data)
        assert (server.heard("RSET"), server.mails) == (1, [])


def test_a_job_that_can_not_be_marked_is_given_back(make_mailer: MakeMailer) -> None:
    def mark() -> bool:
        raise QueueUnavailable("Redis is away.")

    with ScriptedServer() as server:
        job = make_job(mark_sending=mark)
        with pytest.raises(GiveBack, match="Redis is away"):
            make_mailer(server).send(job, job.data)
        assert (server.heard("RSET"), server.mails) == (1, [])


def test_a_mail_that_nobody_may_get_is_not_marked(make_mailer: MakeMailer) -> None:
    marks: list[int] = []
    with ScriptedServer({"RCPT": "550 5.1.1 No"}) as server:
        job = make_job(mark_sending=lambda: not marks.append(1))
        with pytest.raises(PermanentFailure):
            make_mailer(server).send(job, job.data)
    assert marks == []


def test_the_local_mailbox_asks_too(make_mailer: MakeMailer, tmp_path: Path) -> None:
    job = make_job(mark_sending=lambda: False, cancel_requested=True)
    with pytest.raises(JobCancelled):
        make_mailer(data_dir=tmp_path).send(job, job.data)
    assert not (tmp_path / "mailbox").exists()
    job = make_job(mark_sending=lambda: True)
    make_mailer(data_dir=tmp_path).send(job, job.data)
    assert len(mailbox.Maildir(tmp_path / "mailbox", create=False)) == 1


def test_an_interruption_while_marking_closes_the_connection(make_mailer: MakeMailer) -> None:
    def mark() -> bool:
        raise Interruption

    with ScriptedServer() as server:
        mailer, job = make_mailer(server), make_job(mark_sending=mark)
        with pytest.raises(Interruption):
            mailer.send(job, job.data)
        job = make_job()
        assert statuses(mailer.send(job, job.data)) == ["sent"]
        assert (server.connections, len(server.mails)) == (2, 1)


# ── After it ────────────────────────────────────────────────────────────────────────────────


def test_a_lost_worker_leaves_a_held_mail_to_a_person(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        job = make_job(HOLD, unconfirmed=True)
        with pytest.raises(PermanentFailure, match="^ambiguous: ") as raised:
            make_mailer(sink).send(job, job.data)
        assert sink.connections == 0
    assert raised.value.result["unconfirmed"] is True


def test_a_lost_worker_makes_a_mail_go_again_and_says_so(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        for unconfirmed in (False, True):
            job = make_job(unconfirmed=unconfirmed)
            result = mailer.send(job, job.data)
            assert result.get("unconfirmed", False) is unconfirmed
        first, second = sink.wait_for(2)
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_a_doubt_is_remembered_over_all_attempts(make_mailer: MakeMailer) -> None:
    with ScriptedServer({".": [close]}) as server:
        mailer, job = make_mailer(server), make_job()
        with pytest.raises(RetryLater, match="^ambiguous: ") as raised:
            mailer.send(job, job.data)
        job = make_job(retry_count=1, result=json.loads(json.dumps(raised.value.result)))
        result = mailer.send(job, job.data)
        assert server.mails[0] == server.mails[1]
    assert (statuses(result), result["unconfirmed"]) == (["sent"], True)


def test_a_held_mail_that_a_person_retries_goes_out(make_mailer: MakeMailer) -> None:
    with ScriptedServer({".": [close]}) as server:
        mailer, job = make_mailer(server), make_job(HOLD)
        with pytest.raises(PermanentFailure, match="^ambiguous: ") as raised:
            mailer.send(job, job.data)
        job = make_job(HOLD, retry_count=1, result=json.loads(json.dumps(raised.value.result)))
        assert statuses(mailer.send(job, job.data)) == ["sent"]


def test_an_interruption_behind_the_acknowledgement_does_not_send_it_again(
    make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Connection.run

    def run(connection: Connection, transaction: Transaction) -> None:
        usual(connection, transaction)
        raise Interruption

    monkeypatch.setattr(Connection, "run", run)
    with ScriptedServer() as server:
        job = make_job()
        assert statuses(make_mailer(server).send(job, job.data)) == ["sent"]


def test_an_interruption_right_behind_the_acknowledgement_leaves_no_doubt(
    make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Dialogue.failures

    @contextmanager
    def failures(dialogue: Dialogue, answers: dict[str, Reply]) -> Iterator[None]:
        with usual(dialogue, answers):
            yield
            if dialogue.phase is Phase.REPLY:
                raise Interruption

    monkeypatch.setattr(Dialogue, "failures", failures)
    with ScriptedServer() as server:
        job = make_job(HOLD)
        result = make_mailer(server).send(job, job.data)
    assert statuses(result) == ["sent"]
    assert "unconfirmed" not in result


def test_an_interruption_between_two_transactions_keeps_the_first(
    make_mailer: MakeMailer,
) -> None:
    marks: list[int] = []

    def mark() -> bool:
        marks.append(1)
        if len(marks) > 1:
            raise Interruption
        return True

    with ScriptedServer({"RCPT": list(TWO_TRANSACTIONS)}) as server:
        job = make_job(THREE, mark_sending=mark)
        with pytest.raises(RetryLater, match="Interrupted") as raised:
            make_mailer(server).send(job, job.data)
    assert statuses(raised.value.result) == ["sent", "deferred", "deferred"]


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_second_transaction_that_may_not_go_keeps_the_first(
    make_mailer: MakeMailer, cancelled: bool
) -> None:
    marks: list[int] = []

    def mark() -> bool:
        marks.append(1)
        if len(marks) > 1 and not cancelled:
            raise QueueUnavailable("Redis is away.")
        return len(marks) == 1

    with ScriptedServer({"RCPT": list(TWO_TRANSACTIONS)}) as server:
        job = make_job(THREE, mark_sending=mark, cancel_requested=cancelled)
        with pytest.raises(JobCancelled if cancelled else RetryLater) as raised:
            make_mailer(server).send(job, job.data)
        assert len(server.mails) == 1
    assert statuses(raised.value.result) == ["sent", "deferred", "deferred"]


def test_a_doubt_about_the_second_transaction_keeps_the_first(make_mailer: MakeMailer) -> None:
    script: dict[str, Any] = {"RCPT": list(TWO_TRANSACTIONS), ".": ["250 OK", close]}
    with ScriptedServer(script) as server:
        job = make_job(THREE | {"on_ambiguous": "hold"})
        with pytest.raises(PermanentFailure, match="^ambiguous: ") as raised:
            make_mailer(server).send(job, job.data)
    assert statuses(raised.value.result)[0] == "sent"
    assert "sent" not in statuses(raised.value.result)[1:]
