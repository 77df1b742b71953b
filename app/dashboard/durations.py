"""Lengths of time, sizes and shares, as people say them."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """As in "8 ms", "0.21 s", "34 s", "5 min 6 s", "2 h 5 min", "3 d 4 h"; "–" for None."""
    if seconds is None:
        return "–"
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    return _in_two_units(round(seconds))


def size(count: int) -> str:
    """A number of bytes: "812 bytes", "8.0 KB", "1.0 MB" (1 KB = 1,024 bytes)."""
    if count < 1024:
        return f"{count} byte{'' if count == 1 else 's'}"
    for unit, factor in (("KB", 1024), ("MB", 1024**2)):
        if count < factor * 1000:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1024**3:.1f} GB"


def percent(share: float | None) -> str:
    """As in "3.1 %"; "–" for None."""
    if share is None:
        return "–"
    return f"{share * 100:.1f} %" if 0 < share < 0.9995 else f"{share * 100:.0f} %"


def _in_two_units(seconds: int) -> str:
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for (unit, length), (lesser, lesser_length) in zip(units, units[1:], strict=False):
        if seconds >= length:
            rest = seconds % length // lesser_length
            return f"{seconds // length} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{seconds} s"
