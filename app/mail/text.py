"""Which text may stand in a header or a body, and how text from strangers is shown."""

from __future__ import annotations

import unicodedata

HEADER_MAX_CHARS = 998
REPLY_MAX_BYTES = 512
_LINE_SEPARATORS = "\u2028\u2029"


def check_header_text(text: str) -> str:
    """The same text, when it may stand in a header. Raises ValueError with the rule it breaks.

    Characters that only Python takes for line ends (U+2028, U+001C …) are refused like CR and LF,
    and so are encoded words: decoded and written again they become headers of their own
    (CVE-2024-6923).
    """
    if len(text) > HEADER_MAX_CHARS:
        raise ValueError(f"Must have at most {HEADER_MAX_CHARS} characters.")
    if not (text.isascii() and text.isprintable()):
        for character in text:
            if unicodedata.category(character) == "Cc" or character in _LINE_SEPARATORS:
                raise ValueError("Must not contain line breaks or control characters.")
        check_encodable(text)
    if "=?" in text:
        raise ValueError('Must not contain "=?", which starts an encoded word.')
    return text


def check_encodable(text: str) -> str:
    """The same text. Raises ValueError when UTF-8 can't hold it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("Must not contain half a surrogate pair.") from None
    return text


def clean_reply(raw: bytes, max_bytes: int = REPLY_MAX_BYTES) -> str:
    """A server's reply on one line: no control characters, at most `max_bytes` in UTF-8."""
    if len(raw) <= max_bytes and raw.isascii() and (usual := raw.decode("ascii")).isprintable():
        return " ".join(usual.split())
    text = raw[: max_bytes * 4].decode("utf-8", "replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shorten(line, max_bytes)


def shorten(text: str, max_bytes: int) -> str:
    """As many whole characters as fit into `max_bytes` of UTF-8."""
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
