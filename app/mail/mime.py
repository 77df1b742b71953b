"""MIME parts as bytes (RFC 2045, RFC 2046): every line ends in CRLF, every byte is 7-bit."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from app.mail.headers import Field, header_block, parameter
from app.mail.mail import Attachment

_LINE_MAX_CHARS = 78
_BASE64_LINE_BYTES = 57  # become 76 characters, RFC 2045 section 6.8
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_PRINTABLE_LINES = re.compile(r"[\t\n -~]*")
# Above this share of bytes that quoted-printable would triple, base64 is shorter to read and send.
_BASE64_SHARE = 0.3

Part = tuple[list[Field], bytes]


def text_part(text: str, subtype: str) -> Part:
    """A text body. Plain where it may be, else quoted-printable or base64, whichever suits."""
    text = _LINE_ENDS.sub("\n", text)
    if not text.endswith("\n"):
        text += "\n"
    if _fits_as_it_is(text):
        content_type = f'text/{subtype}; charset="us-ascii"'
        return _headers(content_type, "7bit"), text.replace("\n", "\r\n").encode("ascii")
    raw = text.encode("utf-8")
    content_type = f'text/{subtype}; charset="utf-8"'
    if _not_ascii_bytes(raw) > len(raw) * _BASE64_SHARE:
        return _headers(content_type, "base64"), _base64(raw.replace(b"\n", b"\r\n"))
    return _headers(content_type, "quoted-printable"), _quoted_printable(raw)


def attachment_part(attachment: Attachment) -> Part:
    headers = _headers(attachment.content_type, "base64")
    disposition = "attachment" + parameter("filename", attachment.filename)
    headers.append(("Content-Disposition", disposition))
    return headers, _base64(attachment.content)


def multipart(subtype: str, parts: Sequence[Part], boundary: str) -> Part:
    """The parts in one. `boundary` must not occur in any of them."""
    delimiter = f"--{boundary}\r\n".encode("ascii")
    pieces: list[bytes] = []
    for headers, body in parts:
        pieces += (delimiter, header_block(headers), b"\r\n", body, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    content_type = f'multipart/{subtype};\r\n boundary="{boundary}"'
    return [("Content-Type", content_type)], b"".join(pieces)


def _headers(content_type: str, transfer_encoding: str) -> list[Field]:
    return [("Content-Type", content_type), ("Content-Transfer-Encoding", transfer_encoding)]


def _fits_as_it_is(text: str) -> bool:
    if not _PRINTABLE_LINES.fullmatch(text):
        return False
    if len(text) <= _LINE_MAX_CHARS:
        return True
    return all(len(line) <= _LINE_MAX_CHARS for line in text.split("\n"))


def _not_ascii_bytes(raw: bytes) -> int:
    return len(raw) - len(raw.decode("ascii", "ignore"))


def _quoted_printable(raw: bytes) -> bytes:
    # A CR in the text itself (there is none: line ends were made LF) would be left as it is.
    encoded = binascii.b2a_qp(raw, quotetabs=False, istext=True, header=False)
    return encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _base64(raw: bytes) -> bytes:
    encoded = base64.b64encode(raw)
    width = _BASE64_LINE_BYTES * 4 // 3
    lines = [encoded[start : start + width] for start in range(0, len(encoded), width)]
    return b"".join(line + b"\r\n" for line in lines)
