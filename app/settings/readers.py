"""Readers of single values: texts, numbers, switches, choices, lists.

Each takes the environment and a variable's name. What is wrong the environment collects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environs import Env, validate
from marshmallow import ValidationError


def given(env: Env, name: str) -> str:
    """What the environment, or else `.env`, has. Left empty means the default, so does unset."""
    return env.str(name, "").strip()


def text(default: str = "") -> Callable[[Env, str], Any]:
    return lambda env, name: given(env, name) or default


def number(
    default: float, low: float, high: float, kind: type[int] | type[float] = float
) -> Callable[[Env, str], Any]:
    return _number_or(kind(default), low, high, kind)


def optional_int(low: int, high: int) -> Callable[[Env, str], Any]:
    return _number_or(None, low, high, int)


def _number_or(
    default: float | None, low: float, high: float, kind: type[int] | type[float]
) -> Callable[[Env, str], Any]:
    allowed = f"Must be a {'whole ' if kind is int else ''}number from {low} to {high}."
    errors = {"invalid": allowed, "special": allowed, "too_large": allowed}

    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return default
        # environs' types don't know that it hands `error_messages` on to marshmallow.
        reader: Any = env.int if kind is int else env.float
        in_range = validate.Range(low, high, error=allowed)
        return reader(name, validate=in_range, error_messages=errors)

    return read


def flag(env: Env, name: str) -> Any:
    if not given(env, name):
        return False
    read: Any = env.bool
    return read(name, error_messages={"invalid": "Must be 1 (on) or 0 (off)."})


def flag_on(env: Env, name: str) -> Any:
    return flag(env, name) if given(env, name) else True


def choice(default: str, *allowed: str) -> Callable[[Env, str], Any]:
    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return default
        return env.str(name, validate=validate.OneOf(allowed, error="Must be one of: {choices}."))

    return read


def names(pattern: str, what: str) -> Callable[[Env, str], Any]:
    def check(values: Any) -> None:
        for value in values:
            if not re.fullmatch(pattern, value):
                raise ValidationError(f"{value!r} is not {what}.")

    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        return tuple(parts or ())

    return read


def some_of(*allowed: str) -> Callable[[Env, str], Any]:
    """Some of these, all of them by default, in this order."""

    def check(values: Any) -> None:
        if not set(values) <= set(allowed):
            raise ValidationError(f"Must be some of: {', '.join(allowed)}.")

    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return allowed
        # environs answers None for what is invalid; `seal` tells.
        asked = env.list(name, subcast=str.strip, validate=check) or ()
        return tuple(value for value in allowed if value in asked)

    return read


def path(default: str) -> Callable[[Env, str], Any]:
    return lambda env, name: Path(given(env, name) or default)
