"""Rates: so many of something in a second, a minute or an hour."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from environs import Env, validate
from marshmallow import ValidationError

from app.settings.readers import given

_RATE = re.compile(r"(\d{1,6})\s*/\s*(s|min|h)")
_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600}
RATE_FORM = "a whole number from 1 to 999999, and /s, /min or /h"


def per_second(rate: str) -> float:
    """`20/s`, `90/min` or `36/h` as so many a second. Raises ValueError."""
    match = _RATE.fullmatch(rate)
    if not match or not int(match[1]):
        raise ValueError(f"{rate!r} is not a rate like 20/s: {RATE_FORM}.")
    return int(match[1]) / _UNIT_SECONDS[match[2]]


def rates(example: str, names: str, read_name: Callable[[str], str]) -> Callable[[Env, str], Any]:
    """`gmail.com=20/s, *=50/s` as pairs of a name and how many a second."""

    def pair(text: str) -> tuple[str, float]:
        name, equals, rate = (part.strip() for part in text.partition("="))
        try:
            if equals and re.fullmatch(r"[^\s@]+", name):
                return read_name(name), per_second(rate)
        except ValueError:
            pass
        raise ValidationError(f"{text!r} is not a rate like {example}: {names}, =, {RATE_FORM}.")

    def check(values: Any) -> None:
        found = [name for name, _ in map(pair, values)]
        for name in sorted(set(found)):
            if found.count(name) > 1:
                raise ValidationError(f"{name!r} has more than one rate.")

    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        # Without parts the check has failed, and `seal` will say so.
        return tuple(map(pair, parts or ()))

    return read


def rate_or_off(default: str) -> Callable[[Env, str], Any]:
    """`6000/min` as requests and seconds; `off` as None."""

    def read(env: Env, name: str) -> Any:
        a_rate = validate.Regexp(
            r"(off|[1-9]\d{0,5}\s*/\s*(s|min|h))\Z",
            error="Must be off, or a rate like 6000/min (/s, /min or /h).",
        )
        text = env.str(name, validate=a_rate) if given(env, name) else default
        match = _RATE.fullmatch(str(text))
        return (int(match[1]), _UNIT_SECONDS[match[2]]) if match else None

    return read
