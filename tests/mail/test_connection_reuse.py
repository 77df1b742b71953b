"""Connections are kept, checked and closed as the design says."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from app.mail.mailer import Mailer
from app.queue.outcome import PermanentFailure, RetryLater
from tests.mail.scripted import Reply, ScriptedServer, close, reset, then_close
from tests.mail.sink import SmtpSink
from tests.mail.support import Clock, MakeMailer, make_job


def send(mailer: Mailer, times: int = 1) -> None:
    for _ in range(times):
        job = make_job()
        result = mailer.send(job, job.data)
        assert result["recipients"]["user@example.com"]["status"] == "sent"


def test_many_mails_go_over_one_connection(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        send(make_mailer(sink), times=20)
        assert sink.connections == 1
        assert len(sink.wait_for(20)) == 20


def test_a_connection_is_replaced_after_its_number_of_messages(make_mailer: MakeMailer) -> None:
    with ScriptedServer() as server:
        send(make_mailer(server, smtp_max_messages_per_connection=5), times=12)
        assert server.connections == 3
        server.wait_until(lambda: server.heard("QUIT") == 2)


@pytest.mark.parametrize("goodbye", ["421 4.7.0 Five are enough", close])
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_server_that_takes_five_messages_a_connection_gets_all(
    make_mailer: MakeMailer, goodbye: Reply, extensions: tuple[str, ...]
) -> None:
    five: list[Reply] = ["250 OK"] * 5
    script: dict[str, Reply | list[Reply]] = {"MAIL": [*five, goodbye, *five, goodbye]}
    with ScriptedServer(script, extensions=extensions) as server:
        send(make_mailer(server), times=12)
        assert (server.connections, len(server.mails)) == (3, 12)


def test_a_connection_is_replaced_when_it_is_old(make_mailer: MakeMailer) -> None:
    clock = Clock(now=0)
    with ScriptedServer() as server:
        mailer = make_mailer(server, monotonic=clock)
        send(mailer)
        clock.now += 299
        send(mailer)
        assert server.connections == 1
        clock.now += 2
        send(mailer)
        assert server.connections == 2


def test_an_idle_connection_is_asked_before_it_is_used(make_mailer: MakeMailer) -> None:
    clock = Clock(now=0)
    with ScriptedServer() as server:
        mailer = make_mailer(server, monotonic=clock)
        send(mailer, times=2)
        assert server.heard("RSET") == 0
        clock.now += 6
        send(mailer)
        assert (server.heard("RSET"), server.connections) == (1, 1)


@pytest.mark.parametrize("answer", [close, reset, "421 Timed out", "500 What?", "garbage"])
def test_an_idle_connection_that_died_is_replaced(make_mailer: MakeMailer, answer: Reply) -> None:
    clock = Clock(now=0)
    with ScriptedServer({"RSET": answer}) as server:
        mailer = make_mailer(server, monotonic=clock)
        send(mailer)
        clock.now += 6
        send(mailer)
        assert server.connections == 2


@pytest.mark.parametrize("answer", [close, reset, "421 4.4.2 Idle too long"])
def test_a_reused_connection_found_dead_is_replaced_at_once(
    make_mailer: MakeMailer, answer: Reply
) -> None:
    with ScriptedServer({"MAIL": ["250 OK", answer]}) as server:
        send(make_mailer(server), times=2)
        assert server.connections == 2


def test_a_second_dead_connection_ends_the_attempt(make_mailer: MakeMailer) -> None:
    with ScriptedServer({"MAIL": ["250 OK", close, close]}) as server:
        mailer = make_mailer(server)
        send(mailer)
        with pytest.raises(RetryLater):
            send(mailer)
        assert server.connections == 2


@pytest.mark.parametrize("where", ["MAIL", "RCPT", "DATA", "."])
def test_a_refused_mail_leaves_nothing_behind_for_the_next(
    make_mailer: MakeMailer, where: str
) -> None:
    with ScriptedServer({where: ["550 5.7.1 No"]}) as server:
        mailer = make_mailer(server)
        with pytest.raises(PermanentFailure):
            send(mailer)
        send(mailer)
        assert (server.connections, server.heard("RSET")) == (1, 1)


def test_a_connection_closed_with_421_after_the_message_is_not_used_again(
    make_mailer: MakeMailer,
) -> None:
    with ScriptedServer({".": [then_close("421 Bye")]}) as server:
        mailer = make_mailer(server)
        with pytest.raises(RetryLater):
            send(mailer)
        send(mailer)
        assert (server.connections, server.heard("RSET")) == (2, 0)


def test_a_server_that_speaks_out_of_turn_is_not_believed(make_mailer: MakeMailer) -> None:
    # The answer after the dot would otherwise be the one that came before it.
    with ScriptedServer({"DATA": b"354 Go on\r\n250 2.0.0 Taken\r\n", ".": close}) as server:
        with pytest.raises(RetryLater) as raised:
            send(make_mailer(server))
        assert server.mails == []
    assert "out of turn" in raised.value.reason


def test_each_thread_uses_a_connection_of_its_own(make_mailer: MakeMailer) -> None:
    together = threading.Barrier(4)

    def accept_together(talk: Any) -> None:
        together.wait(10)
        talk.say("250 OK")

    with ScriptedServer({"RCPT": [accept_together] * 4}) as server:
        mailer = make_mailer(server)
        threads = [threading.Thread(target=send, args=(mailer,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert (server.connections, len(server.mails)) == (4, 4)
        send(mailer, times=4)
        assert server.connections == 4


def test_closing_says_goodbye(make_mailer: MakeMailer) -> None:
    with ScriptedServer() as server:
        mailer = make_mailer(server)
        send(mailer)
        mailer.close()
        server.wait_until(lambda: server.heard("QUIT") == 1)
        send(mailer)  # a job still in hand at shutdown
        server.wait_until(lambda: server.heard("QUIT") == 2)


def test_a_child_process_does_not_speak_on_its_parents_connection(
    make_mailer: MakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as server:
        mailer = make_mailer(server)
        send(mailer)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        send(mailer)
        assert (server.connections, server.heard("QUIT")) == (2, 0)
