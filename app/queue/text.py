"""Text from strangers, made fit for a line."""

from __future__ import annotations

LINE_MAX_CHARS = 2_000


def clean_text(text: str) -> str:
    """At most 2,000 characters, one line, no control characters, nothing UTF-8 can't hold."""
    printable = "".join(c if c.isprintable() else " " for c in text[: LINE_MAX_CHARS * 2])
    return " ".join(printable.split())[:LINE_MAX_CHARS]
