"""JSON as RFC 8259 has it, and nothing that only Python's parser takes.

Two programs that read the same text must see the same job: no NaN or Infinity, no name twice in
one object, no number that becomes infinite, no character that UTF-8 can't hold, at most 20 levels.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEPTH_MAX = 20


class NotStrictJson(ValueError):
    """The text is not JSON, or is refused. The message says what and, where known, where."""


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Raises NotStrictJson."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = _DECODER.decode(decoded)
    except UnicodeDecodeError:
        raise NotStrictJson("The text is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotStrictJson(f"{error.msg} ({where}).") from None
    except RecursionError:
        raise NotStrictJson(_TOO_DEEP) from None
    except NotStrictJson:
        raise
    except ValueError:  # an integer with more digits than Python converts
        raise NotStrictJson("A number has too many digits.") from None
    # Counting brackets is enough for nearly every text; only the rest is walked.
    if decoded.count("{") + decoded.count("[") > DEPTH_MAX:
        _check_depth(value)
    if "\\u" in decoded or not decoded.isascii():
        _check_characters(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotStrictJson(f"The name {twice[:100]!r} stands twice in one object.")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotStrictJson(f"The number {text[:100]} is too large.")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise NotStrictJson(f"{text} is not JSON.")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise NotStrictJson(_TOO_DEEP)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrictJson("The text holds half a surrogate pair.") from None


_TOO_DEEP = f"The text is nested too deeply; {DEPTH_MAX} levels are allowed."
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant
)
