"""The bytes of a mail, the same on every attempt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from app.mail.addresses import Address
from app.mail.headers import (
    Field,
    UnsafeHeader,
    address_value,
    header_block,
    text_value,
)
from app.mail.html_text import text_from_html
from app.mail.mail import Mail
from app.mail.mime import Part, attachment_part, multipart, text_part


class InvalidMail(ValueError):
    """No valid message can be made of this mail."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes one job's mail recognisable: the same for every attempt of the job."""

    job_id: int
    created_at: float  # seconds since the epoch
    payload: str

    @property
    def digest(self) -> str:
        """128 bits in hex."""
        text = f"{self.job_id}\n{self.created_at:.3f}\n{self.payload}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Built:
    """A message ready to be sent. `content` has CRLF line ends and is not dot-stuffed."""

    content: bytes
    message_id: str  # with its angle brackets
    needs_smtputf8: bool


def build(mail: Mail, sender: Address, stamp: Stamp) -> Built:
    """Writes the message. Bcc recipients don't appear in it.

    `Message-ID` and `Date` depend on the stamp alone, so that a receiver can recognise a repeat.
    Raises InvalidMail when what was written does not read as what was meant.
    """
    digest = stamp.digest
    message_id = f"<{stamp.job_id}.{digest}@{_message_id_domain(sender)}>"
    try:
        body_headers, body = _body(mail, digest)
        headers = [*_headers(mail, sender, stamp, message_id), *body_headers]
        content = header_block(headers) + b"\r\n" + body
    except UnsafeHeader as error:
        raise InvalidMail(str(error)) from None
    except UnicodeEncodeError:
        raise InvalidMail("The text holds half a surrogate pair.") from None
    # A bare CR or LF is where two servers may disagree about the end of the mail (CVE-2023-51764).
    if not content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n"):
        raise InvalidMail("The message holds a bare CR or LF.")
    addresses = (sender, *mail.recipients, *((mail.reply_to,) if mail.reply_to else ()))
    return Built(content, message_id, any(address.needs_smtputf8 for address in addresses))


def _headers(mail: Mail, sender: Address, stamp: Stamp, message_id: str) -> list[Field]:
    headers = [
        ("From", address_value("From", [sender])),
        ("To", address_value("To", mail.to) if mail.to else "undisclosed-recipients:;"),
    ]
    if mail.cc:
        headers.append(("Cc", address_value("Cc", mail.cc)))
    if mail.reply_to:
        headers.append(("Reply-To", address_value("Reply-To", [mail.reply_to])))
    headers += [
        ("Subject", text_value("Subject", mail.subject)),
        ("Date", format_datetime(datetime.fromtimestamp(int(stamp.created_at), UTC))),
        ("Message-ID", message_id),
        ("MIME-Version", "1.0"),
    ]
    headers += [(name, text_value(name, value)) for name, value in mail.headers]
    return headers


def _message_id_domain(sender: Address) -> str:
    return sender.domain if sender.domain.isascii() else "localhost"


def _body(mail: Mail, digest: str) -> Part:
    alternatives = []
    if text := _text_of(mail):
        alternatives.append(text_part(text, "plain"))
    if mail.html is not None:
        alternatives.append(text_part(mail.html, "html"))
    # The text can't hold a boundary made from its own hash; "=_" occurs in no encoded part.
    boundary = f"=_{digest}"
    body = alternatives[0] if alternatives else text_part("", "plain")
    if len(alternatives) > 1:
        body = multipart("alternative", alternatives, f"{boundary}.a")
    if mail.attachments:
        parts = [body, *map(attachment_part, mail.attachments)]
        body = multipart("mixed", parts, f"{boundary}.m")
    return body


def _text_of(mail: Mail) -> str:
    """What a reader without HTML sees."""
    if mail.text is None and mail.html is not None:
        return text_from_html(mail.html)
    return mail.text or ""
