"""Secrets, password hashes, and who may log in."""

from __future__ import annotations

import base64
import re
from typing import Any

from environs import Env, validate
from marshmallow import ValidationError

from app.settings.readers import given


def secret(env: Env, name: str) -> Any:
    long_enough = validate.Length(min=32, error="Must have at least {min} characters.")
    return env.str(name, validate=long_enough) if given(env, name) else ""


# As werkzeug.security writes it: method, salt and hash.
_PASSWORD_HASH = r"scrypt:\d{1,8}:\d{1,3}:\d{1,3}\$[A-Za-z0-9]{8,64}\$[0-9a-f]{128}"
_USER = re.compile(rf"([A-Za-z0-9][\w.@-]{{0,63}})=(viewer|operator):({_PASSWORD_HASH})")


def password_hash(env: Env, name: str) -> Any:
    a_hash = validate.Regexp(
        rf"(?:{_PASSWORD_HASH})\Z", error="Must be what `flask password` prints."
    )
    return env.str(name, validate=a_hash) if given(env, name) else ""


def users(env: Env, name: str) -> Any:
    """`ann=operator:scrypt:…, bob=viewer:scrypt:…` as name, role and hash."""

    def check(values: Any) -> None:
        for number, value in enumerate(values, 1):
            if not _USER.fullmatch(value):  # not shown: it may hold a password
                raise ValidationError(
                    f"Entry {number} is not a user: a name, =, viewer or operator, : and what "
                    "`flask password` prints."
                )
        names = [value.partition("=")[0] for value in values]
        for found in sorted(set(names)):
            if names.count(found) > 1:
                raise ValidationError(f"{found!r} stands there more than once.")

    if not given(env, name):
        return ()
    parts = env.list(name, subcast=str.strip, validate=check)
    matches = [match for part in parts or () if (match := _USER.fullmatch(part))]
    return tuple((m[1], m[2], m[3]) for m in matches)


def webhook_secret(env: Env, name: str) -> Any:
    def check(value: str) -> None:
        if not all(map(_is_webhook_secret, webhook_secrets(value.strip()))):
            raise ValidationError(
                "Must be whsec_ and then 24 to 64 bytes in base64, or several of these with "
                "spaces or commas between them."
            )

    return env.str(name, validate=check) if given(env, name) else ""


def _is_webhook_secret(text: str) -> bool:
    prefix, _, secret = text.partition("_")
    try:
        size = len(base64.b64decode(secret, validate=True))
    except ValueError:
        return False
    return prefix == "whsec" and 24 <= size <= 64


def webhook_secrets(text: str) -> list[str]:
    return re.split(r"[\s,]+", text)
