"""Texts that strangers may put into any field, and that must show as text."""

from __future__ import annotations

import re
import unicodedata

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "' onmouseover=alert(1) x='",
    "{{ 1111 * 1111 }}{% raw %}${1111*1111}#{1111*1111}",
    "javascript:alert(1)",
    "</pre></title></td></table><h1>gone</h1><!--",
    "invoice\u202egpj.exe \u2066isolated",
    "zero\u200bwidth\ufeff",
    "bell\x07 escape\x1b[31m begin\x01",
    "line\u2028separator",
    "&lt;b&gt; &amp;amp;",
    "550 5.1.1 <b>No such user</b>\r\n250-<script>alert(1)</script>\r\n250 2.0.0 Ok",
)
# What must never reach a reader as it is: it hides or turns round what stands beside it.
INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\u200b\u202a-\u202e\u2028\u2066-\u2069\ufeff]")


def letters(text: str) -> str:
    """What is left when characters that can't be seen, or their codes, are taken away."""
    seen = re.sub(r"\\u[0-9a-f]{4}", "", text)
    return "".join(c for c in seen if unicodedata.category(c) not in ("Cc", "Cf", "Zs", "Zl"))
