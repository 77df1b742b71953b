"""The message that is sent: what was meant arrives, and nothing that wasn't."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.mail.addresses import Address, parse_address
from app.mail.build import InvalidMail, Stamp, build
from app.mail.headers import UnsafeHeader, header_block
from app.mail.mail import Attachment, Mail
from app.queue.outcome import PermanentFailure
from tests.mail.scripted import ScriptedServer
from tests.mail.sink import SmtpSink
from tests.mail.support import EXAMPLE, MakeMailer, make_job

SENDER = Address("shop@example.com", "shop@example.com", "The Shop")
STAMP = Stamp(7, 1_748_783_995.842, '{"to": "user@example.com"}')
TO = (parse_address("user@example.com"),)
USUAL = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
]
INJECTIONS = [
    "a\r\nBcc: x@y.z",
    "a\nBcc: x@y.z",
    "a\rBcc: x@y.z",
    "a\r\n\r\nbody",
    "a\x00b",
    "a\u2028Bcc: x@y.z",
    "a\u2029Bcc: x@y.z",
    "a\x85Bcc: x@y.z",
    "a\x1eBcc: x@y.z",
    "é\r\nBcc: x@y.z",
    "a =?UTF-8?Q?=0D=0ABcc:_x@y.z?=",
    "a\ud800b",
]


def built(mail: Mail) -> EmailMessage:
    parsed = email.message_from_bytes(
        build(mail, SENDER, STAMP).content, policy=email.policy.default
    )
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_message_id_and_date_are_the_same_on_every_attempt(make_mailer: MakeMailer) -> None:
    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        for retry_count in range(2):
            job = make_job(retry_count=retry_count)
            mailer.send(job, job.data)
        first, second = sink.wait_for(2)
    assert first.content == second.content
    assert first.message["Date"].datetime.timestamp() == 1_748_783_995
    assert first.message["Message-ID"].endswith("@localhost>")


def test_two_jobs_have_different_message_ids() -> None:
    mail = Mail(to=TO, text="x")
    stamps = [STAMP, Stamp(8, STAMP.created_at, STAMP.payload), Stamp(7, 1.0, STAMP.payload)]
    assert len({build(mail, SENDER, stamp).message_id for stamp in stamps}) == 3


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("place", ["subject", "name", "filename", "header"])
def test_no_text_makes_a_header_of_its_own_even_unchecked(text: str, place: str) -> None:
    """The schema refuses these before; the last guard must not need that."""
    mail = Mail(
        to=(Address("user@example.com", "user@example.com", text if place == "name" else ""),),
        subject=text if place == "subject" else "s",
        text="Hello",
        headers=(("X-Mine", text),) if place == "header" else (),
        attachments=(Attachment(text if place == "filename" else "f", "text/plain", b"x"),),
    )
    try:
        content = build(mail, SENDER, STAMP).content
    except InvalidMail:
        return
    head = content.partition(b"\r\n\r\n")[0]
    parsed = email.message_from_bytes(content, policy=email.policy.compat32)
    for part in parsed.walk():
        assert "Bcc" not in part
    assert b"\0" not in head
    assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"bcc")]


def test_no_text_makes_a_header_at_the_server(make_mailer: MakeMailer) -> None:
    """All of it as if the schema had let it through."""
    arrived = 0
    with SmtpSink() as sink:
        mailer = make_mailer(sink)
        for text in INJECTIONS:
            for mail in mails_with(text):
                with contextlib.suppress(PermanentFailure):
                    mailer.send(make_job(), mail)
                    arrived += 1
        mails = sink.wait_for(arrived) if arrived else []
    allowed = {*USUAL, "X-Mine", "Reply-To", "Cc", "Content-Disposition"}
    for mail in mails:
        assert mail.recipients == ["user@example.com"]
        for part in email.message_from_bytes(mail.content).walk():
            assert set(part.keys()) <= allowed
    assert arrived > 10  # encoded words and the like do get through, as text


def mails_with(text: str) -> Iterator[Mail]:
    """One for each place where text can stand."""
    named = Address("user@example.com", "user@example.com", text)
    mail = Mail(to=TO, text="Hello")
    yield replace(mail, subject=text)
    yield replace(mail, to=(named,))
    yield replace(mail, cc=(named,))
    yield replace(mail, sender=named)
    yield replace(mail, reply_to=named)
    yield replace(mail, headers=(("X-Mine", text),))
    yield replace(mail, headers=((f"X-{text}", "x"),))
    yield replace(mail, attachments=(Attachment(text, "text/plain", b"x"),))
    yield replace(mail, attachments=(Attachment("f", text, b"x"),))
    address = Address(f"a@{text}", f"a@{text}")
    yield replace(mail, to=(Address(text, text),))
    yield replace(mail, to=(address,))
    yield replace(mail, cc=(address,))
    yield replace(mail, bcc=(address,))
    yield replace(mail, bcc=(named,))
    yield replace(mail, sender=address)
    yield replace(mail, reply_to=address)
    yield replace(mail, envelope_from=Address(text, text))


@pytest.mark.parametrize(
    "fields",
    [
        [("Subject", "a\r\nBcc: x@y.z")],
        [("Subject", "a\nBcc: x@y.z")],
        [("Subject", "a\r\n\r\nbody")],
        [("Subject", "a\0b")],
        [("Subject", "x" * 1_000)],
        [("Sub ject", "a")],
        [("Subject", "\ud800")],
    ],
)
def test_a_block_that_reads_differently_is_refused(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(UnsafeHeader):
        header_block(fields)


@settings(max_examples=150)
@given(
    subject=st.text(
        st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300
    ).filter(lambda text: "=?" not in text),
    name=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=80).filter(
        lambda text: "=?" not in text
    ),
)
def test_any_subject_and_name_arrive_as_they_were(subject: str, name: str) -> None:
    to = Address("user@example.com", "user@example.com", name.strip())
    content = build(Mail(to=(to,), subject=subject, text="x"), SENDER, STAMP).content

    parsed = email.message_from_bytes(content)
    assert parsed.keys() == USUAL
    assert decoded(parsed["Subject"]) == subject.strip()
    shown, address = email.utils.parseaddr(unfolded(parsed["To"]))
    assert (decoded(shown), address) == (name.strip(), "user@example.com")
    assert max(map(len, content.split(b"\r\n"))) <= 998


def unfolded(value: str) -> str:
    return value.replace("\r\n", "")


def decoded(value: str) -> str:
    """As a mail reader shows it (RFC 2047)."""
    return str(email.header.make_header(email.header.decode_header(unfolded(value))))


@pytest.mark.parametrize(
    "subject",
    [
        "Grüße aus Köln",
        "Ваш заказ №42 отправлен",
        "ご注文ありがとうございます " * 9,
        "👩‍👩‍👧 family",
        "word " * 150 + "end",
        "x" * 990,
        'quotes " and \\ backslash, comma; colon: <angle>',
    ],
)
def test_a_subject_arrives_intact(make_mailer: MakeMailer, subject: str) -> None:
    with SmtpSink() as sink:
        job = make_job(EXAMPLE | {"subject": subject})
        make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    assert decoded(email.message_from_bytes(mail.content)["Subject"]) == subject.strip()
    assert mail.content.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "",
        "a\nb\r\nc\rd",
        ".\n..\n.hidden\n",
        "Grüße\n",
        "こんにちは\n" * 100,
        "long " * 3_000,
        "trailing space \n\ttab\n",
        "From the start\n",
        "null \0 and bell \a",
        "=?UTF-8?Q?=0D=0A?= equals = signs",
        "\u2028 separator",
    ],
)
def test_a_body_arrives_intact(make_mailer: MakeMailer, text: str) -> None:
    with SmtpSink() as sink:
        job = make_job(EXAMPLE | {"message": text})
        make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    got = mail.message.get_payload(decode=True)
    assert isinstance(got, bytes)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert got.decode().replace("\r\n", "\n").rstrip("\n") == lines
    assert mail.content.isascii()
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


def test_html_has_its_text_and_its_attachments_beside_it(make_mailer: MakeMailer) -> None:
    payload: dict[str, Any] = EXAMPLE | {
        "html": "<p>Grüße</p>",
        "attachments": [
            {"filename": "Rechnung März.pdf", "content_type": "application/pdf", "content": "AAEC"},
            {"filename": "x" * 200 + "é.bin", "content": "/w=="},
        ],
    }
    with SmtpSink() as sink:
        job = make_job(payload)
        make_mailer(sink).send(job, job.data)
        message = sink.wait_for(1)[0].message
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and text.get_content().strip() == EXAMPLE["message"]
    assert html is not None and html.get_content().strip() == "<p>Grüße</p>"
    first, second = message.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == (
        "Rechnung März.pdf",
        "application/pdf",
    )
    assert first.get_content() == b"\0\1\2"
    assert (second.get_filename(), second.get_content()) == ("x" * 200 + "é.bin", b"\xff")


def test_bcc_recipients_stand_in_the_envelope_only(make_mailer: MakeMailer) -> None:
    payload = EXAMPLE | {"cc": "c@example.com", "bcc": ["secret@example.com", "user@example.com"]}
    with SmtpSink() as sink:
        job = make_job(payload)
        make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    assert mail.recipients == ["user@example.com", "c@example.com", "secret@example.com"]
    assert b"secret" not in mail.content
    assert mail.message["Cc"] == "c@example.com"


@pytest.mark.parametrize("extensions", [("SMTPUTF8", "8BITMIME"), ("SMTPUTF8", "SIZE 100000")])
def test_parameters_are_used_as_they_are_offered(
    make_mailer: MakeMailer, extensions: tuple[str, ...]
) -> None:
    with ScriptedServer(extensions=extensions) as server:
        mailer = make_mailer(server)
        for to in ("user@example.com", "dömi@example.com"):
            job = make_job(EXAMPLE | {"to": to})
            mailer.send(job, job.data)
        plain, international = (line for line in server.commands if line.startswith("MAIL"))
    size = "SIZE 100000" in extensions
    assert ("SIZE=" in plain, "SIZE=" in international) == (size, size)
    assert ("SMTPUTF8" in plain, "SMTPUTF8" in international) == (False, True)
    assert "BODY" not in plain
    assert ("BODY=8BITMIME" in international) == ("8BITMIME" in extensions)


def test_bounces_go_where_the_mail_says(make_mailer: MakeMailer) -> None:
    payload = EXAMPLE | {"from": "shop@example.com", "envelope_from": "bounces@example.com"}
    with SmtpSink() as sink:
        job = make_job(payload)
        make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    assert (mail.sender, mail.message["From"]) == ("bounces@example.com", "shop@example.com")
    assert b"bounces" not in mail.content


def test_names_and_addresses_that_are_not_ascii_arrive_intact(make_mailer: MakeMailer) -> None:
    payload = EXAMPLE | {
        "to": [
            {"email": "dömi@bücher.example", "name": "Dömi, the Great"},
            {"email": "x@bücher.example", "name": 'Ann "Q" O\\Neil'},
        ],
        "from": "Jörg <jorg@example.com>",
        "reply_to": "back@example.com",
    }
    with SmtpSink() as sink:
        job = make_job(payload)
        result = make_mailer(sink).send(job, job.data)
        [mail] = sink.wait_for(1)
    assert mail.recipients == ["dömi@bücher.example", "x@xn--bcher-kva.example"]
    parsed = email.message_from_bytes(mail.content, policy=email.policy.default.clone(utf8=True))
    first, second = parsed["To"].addresses
    assert (first.display_name, second.display_name) == ("Dömi, the Great", 'Ann "Q" O\\Neil')
    assert parsed["From"].addresses[0].display_name == "Jörg"
    assert parsed["Reply-To"] == "back@example.com"
    assert list(result["recipients"]) == ["dömi@bücher.example", "x@bücher.example"]


def test_a_mail_to_hidden_recipients_only_names_nobody() -> None:
    message = built(Mail(bcc=TO, text="x"))
    assert message["To"] == "undisclosed-recipients:;"


def test_headers_that_were_asked_for_are_there_and_folded() -> None:
    references = " ".join(f"<{number}@example.com>" for number in range(40))
    mail = Mail(to=TO, text="x", headers=(("References", references), ("X-Note", "é")))
    message = built(mail)
    assert message["References"] == references
    assert message["X-Note"] == "é"
    content = build(mail, SENDER, STAMP).content
    assert max(map(len, content.split(b"\r\n"))) <= 78


def test_fifty_recipients_are_folded() -> None:
    to = tuple(parse_address(f"Person {n} <{n}@example.com>") for n in range(50))
    content = build(Mail(to=to, text="x"), SENDER, STAMP).content
    assert max(map(len, content.split(b"\r\n"))) <= 78
    assert len(built(Mail(to=to, text="x"))["To"].addresses) == 50
