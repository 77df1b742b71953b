"""A mail as people read it: headers decoded, text, HTML, attachments. No file is too broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header
from email.message import Message
from email.policy import compat32

# Larger than any mail that `send_email` writes; parsing takes several times its size.
READ_MAX_BYTES = 16_000_000
TEXT_SHOWN_CHARS = 200_000
SHOWN_FIRST = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID")
# The policy that parses every message; the newer ones raise on some headers.
_POLICY = compat32
_JOB_ID = re.compile(r"\s*<(\d{1,15})\.[0-9a-f]{32}@")


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ReadMail:
    """`headers` in their order, decoded."""

    headers: tuple[tuple[str, str], ...]
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()

    def header(self, name: str) -> str:
        """The first of this name, "" when there is none."""
        return next((text for found, text in self.headers if found.lower() == name.lower()), "")

    @property
    def main_headers(self) -> list[tuple[str, str]]:
        return [(name, text) for name in SHOWN_FIRST if (text := self.header(name))]

    @property
    def other_headers(self) -> list[tuple[str, str]]:
        main = {name.lower() for name in SHOWN_FIRST}
        return [(name, text) for name, text in self.headers if name.lower() not in main]

    @property
    def job_id(self) -> int | None:
        """The job that wrote it, as its Message-ID says."""
        found = _JOB_ID.match(self.header("Message-ID"))
        return int(found[1]) if found else None

    @property
    def text_shown(self) -> str:
        return (self.text or "")[:TEXT_SHOWN_CHARS]

    @property
    def is_cut(self) -> bool:
        return len(self.text or "") > TEXT_SHOWN_CHARS


def read_headers(beginning: bytes) -> ReadMail:
    """From the first bytes of a mail; what was cut off is missing."""
    head, _, _ = beginning.replace(b"\r\n", b"\n").partition(b"\n\n")
    return ReadMail(_headers(message_from_bytes(head + b"\n\n", policy=_POLICY)))


def read(content: bytes) -> ReadMail:
    """Raises ValueError when the mail can't be taken apart: its headers alone may still be read."""
    try:
        message = message_from_bytes(content, policy=_POLICY)
        leaves = list(_leaves(message))
        bodies = [leaf for leaf in leaves if not _is_attachment(leaf)]
        text = next((leaf for leaf in bodies if leaf.get_content_type() == "text/plain"), None)
        html = next((leaf for leaf in bodies if leaf.get_content_type() == "text/html"), None)
        rest = [leaf for leaf in leaves if leaf is not text and leaf is not html]
        return ReadMail(
            _headers(message),
            None if text is None else _text(text),
            None if html is None else _text(html),
            tuple(map(_attachment, rest)),
        )
    except Exception as error:  # whatever a hostile mail makes the standard library raise
        raise ValueError(f"The mail can't be taken apart: {type(error).__name__}.") from error


def _headers(message: Message) -> tuple[tuple[str, str], ...]:
    return tuple((name, _decoded(str(value))) for name, value in message.items())


def _decoded(value: str) -> str:
    """RFC 2047 encoded words, and folded lines, as text; what is broken stays as it stands."""
    unfolded = " ".join(value.split())
    try:
        return "".join(
            part if isinstance(part, str) else _from_charset(part, charset)
            for part, charset in decode_header(unfolded)
        )
    except Exception:  # bad base64, and more
        return unfolded


def _leaves(message: Message) -> Iterator[Message]:
    """All parts but multiparts. An attached mail is one part."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _leaves(part)
    else:
        yield message


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _text(part: Message) -> str:
    return _from_charset(_bytes(part), part.get_content_charset())


def _attachment(part: Message) -> Attachment:
    name = part.get_filename() or "without a name"
    return Attachment(_decoded(name), part.get_content_type(), len(_bytes(part)))


def _bytes(part: Message) -> bytes:
    if part.is_multipart():  # an attached mail
        return b"".join(
            inner.as_bytes() for inner in part.get_payload() if isinstance(inner, Message)
        )
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _from_charset(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # no such charset, or one that makes no text
        return content.decode("utf-8", "replace")
