"""Header fields as bytes: encoded, folded, and read back before anyone may send them.

The standard library's `EmailMessage` takes encoded words in a value apart and can write a header
nobody set (CVE-2024-6923), and takes milliseconds. Here a value is text until the last moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.errors import HeaderParseError
from email.header import Header
from email.parser import BytesHeaderParser
from email.policy import compat32
from urllib.parse import quote

from app.mail.addresses import Address

LINE_MAX_BYTES = 998  # RFC 5322 section 2.1.1, without CRLF
_FOLD_AT = 78
# Longer names are written as encoded words, which can be folded anywhere.
_QUOTED_NAME_MAX_CHARS = 60
_PARAMETER_PIECE_CHARS = 60
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")

Field = tuple[str, str]


class UnsafeHeader(ValueError):
    """The header block would not read as what was set. Nothing may be sent."""


def header_block(header_fields: Sequence[Field]) -> bytes:
    """The fields, already encoded, as one block of lines, each with its CRLF.

    The block is parsed again and must hold exactly these names in this order, no bare CR or LF,
    no NUL, and no line longer than RFC 5322 allows. Raises UnsafeHeader.
    """
    text = "".join(f"{name}: {value}\r\n" for name, value in header_fields)
    try:
        block = text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnsafeHeader("A header holds half a surrogate pair.") from None
    _guard(block, [name for name, _ in header_fields])
    return block


def text_value(name: str, text: str) -> str:
    """An unstructured value (RFC 5322 section 3.6.5), as encoded words (RFC 2047) where needed."""
    text = text.strip()
    if text.isascii() and "=?" not in text:
        folded = _fold(name, text)
        if all(len(line) <= LINE_MAX_BYTES for line in f"{name}: {folded}".split("\r\n")):
            return folded
    return _encoded_words(text, name)


def address_value(name: str, addresses: Iterable[Address]) -> str:
    """A list of mailboxes (RFC 5322 section 3.4), one a line when they don't fit into one."""
    mailboxes = [_mailbox(address) for address in addresses]
    line = ", ".join(mailboxes)
    if len(name) + 2 + len(line) <= _FOLD_AT:
        return line
    return ",\r\n ".join(mailboxes)


def parameter(name: str, text: str) -> str:
    """`; name="text"` after a structured value; RFC 2231 when it isn't short and ASCII."""
    if text.isascii() and len(text) <= _PARAMETER_PIECE_CHARS:
        return f';\r\n {name}="{_escaped(text)}"'
    encoded = quote(text, safe="")
    if len(encoded) <= _PARAMETER_PIECE_CHARS:
        return f";\r\n {name}*=utf-8''{encoded}"
    pieces = _pieces(encoded)
    first = f";\r\n {name}*0*=utf-8''{pieces[0]}"
    rest = (f";\r\n {name}*{n}*={piece}" for n, piece in enumerate(pieces[1:], start=1))
    return first + "".join(rest)


def _guard(block: bytes, names: list[str]) -> None:
    if b"\0" in block:
        raise UnsafeHeader("A header holds a NUL.")
    if not block.count(b"\r") == block.count(b"\n") == block.count(b"\r\n"):
        raise UnsafeHeader("A header holds a bare CR or LF.")
    lines = block.split(b"\r\n")
    if max(map(len, lines)) > LINE_MAX_BYTES:
        raise UnsafeHeader(f"A header line has more than {LINE_MAX_BYTES} bytes.")
    parsed = _PARSER.parsebytes(block)
    if parsed.keys() != names or parsed.defects or parsed.get_payload():
        raise UnsafeHeader("The headers read back are not the headers set.")


def _fold(name: str, text: str) -> str:
    """Breaks lines before spaces; a first word stays on the first line however long it is."""
    if len(name) + 2 + len(text) <= _FOLD_AT:
        return text
    lines: list[str] = []
    line = " " * (len(name) + 2)
    for word in re.findall(r" *[^ ]+", text):
        if len(line) + len(word) > _FOLD_AT and line.strip() and word.startswith(" "):
            lines.append(line)
            line = ""
        line += word
    lines.append(line)
    return "\r\n".join(lines)[len(name) + 2 :]


def _mailbox(address: Address) -> str:
    name = address.name
    if not name:
        return address.wire
    if not name.isascii() or "=?" in name or len(name) > _QUOTED_NAME_MAX_CHARS:
        return f"{_encoded_words(name, '')} <{address.wire}>"
    phrase = name if _ATOMS.fullmatch(name) else f'"{_escaped(name)}"'
    return f"{phrase} <{address.wire}>"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _encoded_words(text: str, header_name: str) -> str:
    # The room for a mailbox's first line is not known here; 20 is more than any of our names.
    room = header_name or "x" * 18
    try:
        return Header(text, "utf-8", maxlinelen=76, header_name=room).encode(linesep="\r\n")
    except HeaderParseError:
        raise UnsafeHeader("A header holds a line break.") from None


def _pieces(encoded: str) -> list[str]:
    """Cuts percent-encoded text, never within one `%XX`."""
    pattern = rf"(?:%..|[^%]){{1,{_PARAMETER_PIECE_CHARS // 3}}}"
    return re.findall(pattern, encoded)


_PARSER = BytesHeaderParser(policy=compat32)
