"""What `send_email` takes, and how it says what it doesn't."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.jobs import InvalidPayload, find
from app.mail.mail import Mail
from app.mail.settings import MailSettingsError
from tests.mail.support import EXAMPLE, MakeMailer
from tests.mail.test_build import INJECTIONS


@pytest.fixture(autouse=True)
def _mailer(make_mailer: MakeMailer) -> Iterator[None]:
    make_mailer()
    yield


def load(**changes: Any) -> Mail:
    payload = {name: value for name, value in (EXAMPLE | changes).items() if value is not ...}
    mail = find("send_email").validate(json.dumps(payload), strict=False)
    assert isinstance(mail, Mail)
    return mail


def errors(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidPayload) as raised:
        load(**changes)
    return raised.value.errors


def test_the_documented_example_is_taken_as_it_stands() -> None:
    mail = load()
    assert [address.email for address in mail.to] == ["user@example.com"]
    assert (mail.subject, mail.text, mail.html) == ("Test Email", "This is a test email.", None)


def test_text_is_another_name_of_message() -> None:
    assert load(message=..., text="Hi").text == "Hi"
    assert list(errors(text="both")) == ["text"]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("subject", lambda text: {"subject": text}),
        ("to", lambda text: {"to": {"email": "a@example.com", "name": text}}),
        ("to", lambda text: {"to": f"{text} <a@example.com>"}),
        ("to", lambda text: {"to": f"{text}@example.com"}),
        ("cc.1", lambda text: {"cc": ["a@example.com", {"email": "a@b.test", "name": text}]}),
        ("bcc", lambda text: {"bcc": f"a@example.com{text}"}),
        ("from", lambda text: {"from": {"email": "a@example.com", "name": text}}),
        ("envelope_from", lambda text: {"envelope_from": f"{text}@example.com"}),
        ("reply_to", lambda text: {"reply_to": {"email": "a@example.com", "name": text}}),
        ("headers", lambda text: {"headers": {"X-Mine": text}}),
        ("headers", lambda text: {"headers": {f"X-{text}": "x"}}),
        (
            "attachments.0.filename",
            lambda text: {"attachments": [{"filename": text, "content": ""}]},
        ),
        (
            "attachments.0.content_type",
            lambda text: {"attachments": [{"filename": "f", "content": "", "content_type": text}]},
        ),
    ],
)
def test_text_that_could_become_a_header_is_refused_by_field(
    field: str, place: Any, text: str
) -> None:
    assert list(errors(**place(text))) == [field]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("to", {"to": ...}),
        ("to", {"to": []}),
        ("to", {"to": None}),
        ("to", {"to": "not-an-address"}),
        ("to", {"to": "user@example"}),
        ("to", {"to": 7}),
        ("to", {"to": {"email": "a@example.com", "age": 7}}),
        ("to", {"to": {"name": "nobody"}}),
        ("to", {"to": [f"u{n}@example.com" for n in range(51)]}),
        ("to", {"to": [f"u{n}@example.com" for n in range(30)], "cc": ["a@example.com"] * 21}),
        ("to.1", {"to": ["a@example.com", "b"]}),
        ("from", {"from": ["a@example.com"]}),
        ("envelope_from", {"envelope_from": "Bounces <b@example.com>"}),
        ("envelope_from", {"envelope_from": ""}),
        ("subject", {"subject": 7}),
        ("subject", {"subject": "x" * 999}),
        ("message", {"message": ...}),
        ("message", {"message": None}),
        ("message", {"message": "x" * 1_048_577}),
        ("message", {"message": "é" * 524_289}),
        ("message", {"message": "a\ud800"}),
        ("html", {"html": ["x"]}),
        ("headers", {"headers": {"Bcc": "x@example.com"}}),
        ("headers", {"headers": {"Subject": "x"}}),
        ("headers", {"headers": {"X-A": "1", "x-a": "2"}}),
        ("headers", {"headers": {"References": "é"}}),
        ("headers", {"headers": {"X-A": 1}}),
        ("headers", {"headers": []}),
        ("attachments", {"attachments": [{"filename": "f", "content": ""}] * 11}),
        ("attachments.0.content", {"attachments": [{"filename": "f", "content": "%"}]}),
        ("attachments.0.content", {"attachments": [{"filename": "f"}]}),
        ("attachments.0.filename", {"attachments": [{"filename": "", "content": ""}]}),
        (
            "attachments.0.content_type",
            {"attachments": [{"filename": "f", "content": "", "content_type": "message/rfc822"}]},
        ),
        (
            "attachments",
            {
                "attachments": [
                    {"filename": "f", "content": base64.b64encode(bytes(3_600_000)).decode()}
                ]
                * 2
            },
        ),
        ("expires_at", {"expires_at": "tomorrow"}),
        ("expires_at", {"expires_at": "2030-01-01T00:00:00"}),
        ("expires_at", {"expires_at": True}),
        ("expires_at", {"expires_at": 1e300}),
        ("on_ambiguous", {"on_ambiguous": "maybe"}),
        ("subjcet", {"subjcet": "typo"}),
    ],
)
def test_what_breaks_a_rule_is_named_by_its_field(field: str, changes: dict[str, Any]) -> None:
    assert list(errors(**changes)) == [field]


def test_all_errors_come_at_once() -> None:
    assert set(errors(to="x", subject="\n", on_ambiguous="?")) == {"to", "subject", "on_ambiguous"}


def test_a_payload_that_is_no_object_is_refused() -> None:
    for payload in ("[]", '"text"', "7", "null"):
        with pytest.raises(InvalidPayload) as raised:
            find("send_email").validate(payload)
        assert list(raised.value.errors) == ["payload"]


@pytest.mark.parametrize(
    "address", ["root@localhost", "user@example.test", "o'neil+tag@example.co.uk", "x@例え.jp"]
)
def test_unusual_addresses_are_taken(address: str) -> None:
    assert load(to=address).to[0].email == address


def test_an_address_may_have_its_name_with_it() -> None:
    [address] = load(to="Ann Smith <ann@example.com>").to
    assert (address.email, address.name) == ("ann@example.com", "Ann Smith")


def test_a_time_to_expire_may_be_written_in_two_ways() -> None:
    assert load(expires_at=1_900_000_000).expires_at == 1_900_000_000
    assert load(expires_at="2030-03-17T17:46:40Z").expires_at == 1_900_000_000


@pytest.mark.parametrize(
    ("allowed", "sender", "is_allowed"),
    [
        ((), "anyone@example.net", True),
        (("example.com",), "a@example.com", True),
        (("@example.com",), "A@Example.com", True),
        (("example.com",), "a@sub.example.com", False),
        (("example.com",), "a@notexample.com", False),
        (("a@example.com",), "A@example.com", True),
        (("a@example.com",), "b@example.com", False),
        (("example.com",), "mailroom@localhost", True),
    ],
)
@pytest.mark.parametrize("field", ["from", "reply_to", "envelope_from"])
def test_only_allowed_senders_may_be_named(
    make_mailer: MakeMailer, allowed: tuple[str, ...], sender: str, is_allowed: bool, field: str
) -> None:
    make_mailer(mail_allowed_from=allowed)
    if is_allowed:
        load(**{field: sender})
    else:
        assert list(errors(**{field: sender})) == [field]
        assert "MAIL_ALLOWED_FROM" in errors(**{field: sender})[field][0]


@pytest.mark.parametrize("mail_from", ["", "nobody", "a\nb@example.com", "a@b@c"])
def test_a_default_sender_that_is_no_address_is_told_at_the_start(
    make_mailer: MakeMailer, mail_from: str
) -> None:
    with pytest.raises(MailSettingsError, match="^MAIL_FROM: "):
        make_mailer(mail_from=mail_from)


HTTPS, MAILTO = "<https://example.com/u/1>", "<mailto:leave@example.com>"
ONE_CLICK = "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "headers",
    [
        {"List-Unsubscribe": HTTPS},
        {"List-Unsubscribe": f"{MAILTO}, {HTTPS}"},
        {"List-Unsubscribe": HTTPS, "List-Unsubscribe-Post": ONE_CLICK},
        {"list-unsubscribe": f"{HTTPS}, {MAILTO}", "LIST-UNSUBSCRIBE-POST": ONE_CLICK},
    ],
)
def test_a_list_can_be_left(headers: dict[str, str]) -> None:
    assert dict(load(headers=headers).headers) == headers


@pytest.mark.parametrize(
    "headers",
    [
        {"List-Unsubscribe": "https://example.com/u/1"},
        {"List-Unsubscribe": f"{HTTPS} {MAILTO}"},
        {"List-Unsubscribe": ""},
        {"List-Unsubscribe-Post": ONE_CLICK},
        {"List-Unsubscribe": MAILTO, "List-Unsubscribe-Post": ONE_CLICK},
        {"List-Unsubscribe": f"{HTTPS}, {HTTPS}", "List-Unsubscribe-Post": ONE_CLICK},
        {"List-Unsubscribe": HTTPS, "List-Unsubscribe-Post": "List-Unsubscribe=one-click"},
        {
            "List-Unsubscribe": HTTPS.replace("https", "http"),
            "List-Unsubscribe-Post": ONE_CLICK,
        },
    ],
)
def test_a_way_to_leave_a_list_that_would_not_work_is_refused(headers: dict[str, str]) -> None:
    [said] = errors(headers=headers)["headers"]
    assert said.startswith("List-Unsubscribe")
