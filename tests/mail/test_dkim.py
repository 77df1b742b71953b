"""Signatures that a receiver can verify, and only where they are wanted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.mail.settings import MailSettingsError
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job

dkim = pytest.importorskip("dkim")

ONE_CLICK = {
    "List-Unsubscribe": "<https://example.com/u/1>, <mailto:leave@example.com>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "Feedback-ID": "campaign:shop",
}


@dataclass
class Key:
    file: Path
    record: bytes  # as DNS has it

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "mail_dkim_domain": "example.com",
            "mail_dkim_selector": "s1",
            "mail_dkim_key_file": str(self.file),
        }

    def dns(self, name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.example.com."
        return self.record


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    file = tmp_path_factory.mktemp("dkim") / "private.pem"
    openssl("genrsa", "-out", str(file), "2048")
    public = openssl("rsa", "-in", str(file), "-pubout")
    yield Key(file, b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1]))


def openssl(*arguments: str) -> bytes:
    command = ["openssl", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def sent(make_mailer: MakeMailer, payload: dict[str, Any], **settings: Any) -> bytes:
    with SmtpSink() as sink:
        job = make_job(EXAMPLE | payload)
        make_mailer(sink, **settings).send(job, job.data)
        return sink.wait_for(1)[0].content


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"subject": "Grüße " * 30, "html": "<p>Grüße</p>", "cc": "c@example.com"},
        {"message": ".\n..\ntrailing  \n\n\n", "reply_to": "Jörg <r@example.com>"},
        {"headers": ONE_CLICK},
        {"to": "dömi@example.com"},
        {"attachments": [{"filename": "März.bin", "content": "AAEC"}]},
    ],
)
def test_a_receiver_can_verify_what_arrives(
    make_mailer: MakeMailer, key: Key, payload: dict[str, Any]
) -> None:
    content = sent(make_mailer, payload, **key.settings)
    assert content.startswith(b"DKIM-Signature:")
    assert dkim.verify(content, dnsfunc=key.dns)
    assert b"c=relaxed/relaxed" in content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"This is a test", b"This is no test"),
        (b"Subject: Test Email", b"Subject: Other"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", b"List-Unsubscribe-Post: x"),
        (b"<https://example.com/u/1>", b"<https://example.org/u/1>"),
        (b"Feedback-ID: campaign", b"Feedback-ID: other"),
        (b"\r\nSubject:", b"\r\nSubject: Two\r\nSubject:"),
        (b"\r\nFrom:", b"\r\nFrom: <x@example.org>\r\nFrom:"),
        (b"\r\nSubject:", b"\r\nCc: x@example.org\r\nSubject:"),
    ],
)
def test_whoever_changes_it_breaks_the_signature(
    make_mailer: MakeMailer, key: Key, old: bytes, new: bytes
) -> None:
    content = sent(make_mailer, {"headers": ONE_CLICK}, **key.settings)
    assert dkim.verify(content, dnsfunc=key.dns)
    assert content.count(old) == 1
    assert not dkim.verify(content.replace(old, new), dnsfunc=key.dns)


def test_nothing_is_signed_without_a_key(make_mailer: MakeMailer) -> None:
    assert b"DKIM-Signature" not in sent(make_mailer, {})


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"mail_dkim_domain": ""}, "MAIL_DKIM_DOMAIN: signing needs it too"),
        ({"mail_dkim_selector": ""}, "MAIL_DKIM_SELECTOR: signing needs it too"),
        ({"mail_dkim_key_file": ""}, "MAIL_DKIM_KEY_FILE: signing needs it too"),
        ({"mail_dkim_key_file": "/no/such/file"}, "MAIL_DKIM_KEY_FILE: /no/such/file: No such"),
        ({"mail_dkim_domain": "a;b"}, "MAIL_DKIM_DOMAIN: 'a;b' can't be"),
        ({"mail_dkim_selector": "a b"}, "MAIL_DKIM_SELECTOR: 'a b' can't be"),
    ],
)
def test_settings_that_can_not_sign_are_told_at_the_start(
    make_mailer: MakeMailer, key: Key, settings: dict[str, str], error: str
) -> None:
    with pytest.raises(MailSettingsError) as raised:
        make_mailer(**(key.settings | settings))
    assert str(raised.value).startswith(error)


@pytest.mark.parametrize(
    ("algorithm", "error"),
    [
        ("", "is no RSA key in PEM form"),
        ("x25519", "is no RSA key in PEM form"),
        ("ed25519", "is an Ed25519 key. Mail is signed with RSA only"),
    ],
)
def test_a_file_that_is_no_rsa_key_is_told_at_the_start(
    make_mailer: MakeMailer, key: Key, tmp_path: Path, algorithm: str, error: str
) -> None:
    file = tmp_path / "key.pem"
    if algorithm:
        openssl("genpkey", "-algorithm", algorithm, "-out", str(file))
    else:
        file.write_text("-----BEGIN PRIVATE KEY-----\nAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(MailSettingsError, match=error):
        make_mailer(**(key.settings | {"mail_dkim_key_file": str(file)}))


def test_an_rsa_key_may_be_in_either_pem_form(
    make_mailer: MakeMailer, key: Key, tmp_path: Path
) -> None:
    file = tmp_path / "pkcs8.pem"
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", str(key.file), "-out", str(file))
    assert b"BEGIN PRIVATE KEY" in file.read_bytes()
    content = sent(make_mailer, {}, **(key.settings | {"mail_dkim_key_file": str(file)}))
    assert dkim.verify(content, dnsfunc=key.dns)


def test_a_missing_package_is_told_at_the_start(
    make_mailer: MakeMailer, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dkim", None)
    with pytest.raises(MailSettingsError, match=r"pip install -r requirements-dkim\.txt"):
        make_mailer(**key.settings)
    make_mailer()
