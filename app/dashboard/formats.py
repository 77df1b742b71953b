"""How numbers, times and statuses are written on a page."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

_NO_TIME = Markup("–")


def ago(seconds: float, now: float) -> str:
    """A moment as its distance from now: "5 s ago", "in 3 min". `live.js` says it alike."""
    distance = span(abs(now - seconds))
    return f"{distance} ago" if seconds <= now else f"in {distance}"


def iso(seconds: float) -> str:
    """A moment as `<time datetime>` takes it, in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row_time(seconds: float | None, now: float) -> Markup:
    """A moment in a row of the table; `live.js` tells the exact time. Three a row: a template's
    macro takes a quarter of the table's time for them."""
    if seconds is None:
        return _NO_TIME
    # Digits and letters of our own: there is nothing to escape.
    return Markup(f"<time datetime={iso(seconds)}>{ago(seconds, now)}</time>")


def label(name: str) -> str:
    """`permanently_failed` as people read it: "Permanently failed"."""
    return name.replace("_", " ").capitalize()


def number(value: int) -> str:
    return f"{value:,}"


def span(seconds: float) -> str:
    """A length of time in its largest unit: "5 s", "3 min"."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
