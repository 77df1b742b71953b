"""TLS is verified, always, and nothing is said in the clear when it can't be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.mail.settings import MailSettingsError
from app.queue.outcome import GiveBack, RetryLater
from tests.mail.certificates import Certificates, make_certificates
from tests.mail.scripted import ScriptedServer, Talk
from tests.mail.sink import SmtpSink
from tests.mail.support import TIMEOUTS, MakeMailer, make_job

IMPATIENT = replace(TIMEOUTS, greeting=0.3)
LOGIN = {"smtp_username": "me", "smtp_password": "sécret"}


def send(mailer: Any) -> Any:
    job = make_job()
    return mailer.send(job, job.data)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_encrypted_and_logged_in(
    make_mailer: MakeMailer, certificates: Certificates, security: str
) -> None:
    auth = ("me", "sécret")
    with SmtpSink(tls=security, certificates=certificates, auth=auth) as sink:
        mailer = make_mailer(
            sink, smtp_security=security, smtp_ca_file=str(certificates.ca_file), **LOGIN
        )
        for _ in range(3):
            send(mailer)
        mails = sink.wait_for(3)
        mailer.close()
    assert sink.connections == 1
    assert all(mail.username == "me" for mail in mails)
    assert all(mail.encrypted for mail in mails)


def test_a_wrong_password_costs_no_attempt(
    make_mailer: MakeMailer, certificates: Certificates
) -> None:
    with SmtpSink(tls="starttls", certificates=certificates, auth=("me", "other")) as sink:
        mailer = make_mailer(
            sink, smtp_security="starttls", smtp_ca_file=str(certificates.ca_file), **LOGIN
        )
        with pytest.raises(GiveBack) as raised:
            send(mailer)
        assert sink.mails == []
    assert "535" in raised.value.reason
    assert LOGIN["smtp_password"] not in raised.value.reason


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_name_is_refused(
    make_mailer: MakeMailer, tmp_path: Path, security: str
) -> None:
    certificates = make_certificates(tmp_path, names="DNS:mail.example.com")
    with SmtpSink(tls=security, certificates=certificates) as sink:
        mailer = make_mailer(sink, smtp_security=security, smtp_ca_file=str(certificates.ca_file))
        with pytest.raises(GiveBack) as raised:
            send(mailer)
        assert sink.mails == []
    assert "certificate" in raised.value.reason


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_expired_is_refused(
    make_mailer: MakeMailer, tmp_path: Path, security: str
) -> None:
    certificates = make_certificates(tmp_path, days=-1)
    with SmtpSink(tls=security, certificates=certificates) as sink:
        mailer = make_mailer(sink, smtp_security=security, smtp_ca_file=str(certificates.ca_file))
        with pytest.raises(GiveBack) as raised:
            send(mailer)
        assert sink.mails == []
    assert "expired" in raised.value.reason


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_by_an_unknown_authority_is_refused(
    make_mailer: MakeMailer, certificates: Certificates, security: str
) -> None:
    with SmtpSink(tls=security, certificates=certificates) as sink:
        with pytest.raises(GiveBack) as raised:
            send(make_mailer(sink, smtp_security=security))
        assert sink.mails == []
    assert "certificate" in raised.value.reason


def test_nothing_is_sent_when_starttls_is_not_offered(make_mailer: MakeMailer) -> None:
    with ScriptedServer(extensions=("AUTH PLAIN LOGIN",)) as server:
        with pytest.raises(GiveBack) as raised:
            send(make_mailer(server, smtp_security="starttls", **LOGIN))
        assert [line.split()[0].upper() for line in server.commands] == ["EHLO"]
    assert "STARTTLS" in raised.value.reason


def test_nothing_is_sent_when_starttls_is_no_longer_offered(
    make_mailer: MakeMailer, certificates: Certificates
) -> None:
    """As when somebody between the two takes the offer out."""
    ca_file = str(certificates.ca_file)
    with SmtpSink(tls="starttls", certificates=certificates) as sink:
        mailer = make_mailer(
            sink, smtp_security="starttls", smtp_ca_file=ca_file, smtp_max_messages_per_connection=1
        )
        send(mailer)
        port = sink.port
    with ScriptedServer(port=port) as server:
        with pytest.raises(GiveBack, match="STARTTLS"):
            send(mailer)
        assert (server.heard("MAIL"), server.mails) == (0, [])


@pytest.mark.parametrize("answer", ["454 4.7.0 Not now", "502 Not implemented", "220 Go on"])
def test_nothing_is_sent_when_starttls_fails(make_mailer: MakeMailer, answer: str) -> None:
    script: dict[str, Any] = {"STARTTLS": answer}
    with ScriptedServer(script, extensions=("STARTTLS", "AUTH PLAIN")) as server:
        mailer = make_mailer(server, timeouts=IMPATIENT, smtp_security="starttls", **LOGIN)
        with pytest.raises((GiveBack, RetryLater)):
            send(mailer)
        heard = " ".join(server.commands)
        assert "MAIL" not in heard
        assert "AUTH" not in heard


def test_answers_smuggled_in_before_the_encryption_are_refused(make_mailer: MakeMailer) -> None:
    def smuggle(talk: Talk) -> None:
        talk.say(b"220 Go on\r\n250 AUTH PLAIN\r\n")

    script: dict[str, Any] = {"STARTTLS": smuggle}
    with ScriptedServer(script, extensions=("STARTTLS",)) as server:
        with pytest.raises(RetryLater, match="plaintext after STARTTLS"):
            send(make_mailer(server, smtp_security="starttls"))
        assert server.heard("EHLO") == 1


def test_a_port_without_tls_costs_no_attempt(make_mailer: MakeMailer) -> None:
    with ScriptedServer() as server, pytest.raises(GiveBack):
        send(make_mailer(server, smtp_security="tls"))


def test_a_missing_authority_file_is_told_at_the_start(make_mailer: MakeMailer) -> None:
    with pytest.raises(MailSettingsError, match="SMTP_CA_FILE: /no/such/file"):
        make_mailer(smtp_host="localhost", smtp_security="tls", smtp_ca_file="/no/such/file")
