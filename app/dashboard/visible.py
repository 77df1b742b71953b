"""Characters that would hide, reorder or break text on a page, made visible."""

from __future__ import annotations

import re

# Controls but for tab and line end, marks of direction (they can turn "gpj.exe" round), characters
# without width, and halves of surrogate pairs, which UTF-8 can't hold.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: object) -> str:
    """The text with each such character written as its code, like \\u202e."""
    return _INVISIBLE.sub(_code, str(text).replace("\r\n", "\n"))


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
