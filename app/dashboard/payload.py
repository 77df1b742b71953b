"""A payload or result for people: indented, secrets masked, every character visible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MASK = "••••••"
LINE_MAX_CHARS = 80

# Parts of names, without case and punctuation: `X-Api-Key`, `apiKey` and `api_key` are one.
_SECRET_NAMES = re.compile(
    r"passwor[dt]|passwd|passphrase|passcode|secret|token|authorization|credential|cookie"
    r"|(api|access|private|signing|encryption|auth)key|^(pwd|auth|pin|otp|bearer|signature)$"
)
# Where the text can't be parsed: a name, and the text or number after it.
_SECRET_PAIR = re.compile(r'("(?:[^"\\]|\\.){1,100}"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s",\[\]{}]+)')


class _Literal(str):
    """A number as it was written: 1.10 and 20-digit integers must not change."""


def pretty(text: str) -> str:
    """JSON text on lines of its own; what can't be parsed stands as it is. Secrets are masked."""
    try:
        value = json.loads(text, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)
        return "".join(_written(value, ""))
    except (ValueError, RecursionError):
        return _SECRET_PAIR.sub(_masked_pair, text)


def pretty_value(value: Any) -> str:
    """The same for a value."""
    return pretty(json.dumps(value))


def is_secret(name: str) -> bool:
    """Whether the value under this name must not be shown."""
    return bool(_SECRET_NAMES.search("".join(c for c in name.lower() if c.isalnum())))


def _written(value: Any, indent: str) -> Iterator[str]:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        yield "{"
        for count, (name, inner) in enumerate(value.items()):
            yield f"{',' if count else ''}\n{deeper}{_text(name)}: "
            yield from [_text(MASK)] if is_secret(name) and inner else _written(inner, deeper)
        yield f"\n{indent}}}"
    elif isinstance(value, list) and (line := _on_one_line(value)):
        yield line
    elif isinstance(value, list) and value:
        yield "["
        for count, inner in enumerate(value):
            yield f"{',' if count else ''}\n{deeper}"
            yield from _written(inner, deeper)
        yield f"\n{indent}]"
    else:
        yield value if isinstance(value, _Literal) else _text(value)


def _on_one_line(values: list[Any]) -> str | None:
    """A short list of plain values."""
    if any(isinstance(value, dict | list) for value in values) or len(values) > LINE_MAX_CHARS:
        return None
    line = f"[{', '.join(''.join(_written(value, '')) for value in values)}]"
    return line if len(line) <= LINE_MAX_CHARS else None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _masked_pair(found: re.Match[str]) -> str:
    return found[1] + _text(MASK) if is_secret(found[1]) else found[0]
