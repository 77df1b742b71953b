"""Addresses of servers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from environs import Env, validate
from marshmallow import ValidationError

from app.settings.readers import given

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:([1-9]\d{0,4}))?")


def servers(default_port: int, example: str) -> Callable[[Env, str], Any]:
    """`host` or `host:port`, separated by commas; each as `host:port`."""

    def check(values: Any) -> None:
        for value in values:
            match = _SERVER.fullmatch(value)
            if not match or int(match[3] or 1) > 65535:
                raise ValidationError(f"{value!r} is not like {example}.")

    def read(env: Env, name: str) -> Any:
        if not given(env, name):
            return ()
        parts = env.list(name, subcast=str.strip, validate=check)
        matches = [match for part in parts or () if (match := _SERVER.fullmatch(part))]
        return tuple(f"{match[1]}:{match[3] or default_port}" for match in matches)

    return read


def master_name(env: Env, name: str) -> Any:
    allowed = validate.Regexp(r"[\w.-]+\Z", error="May have letters, digits, '_', '.' and '-'.")
    return env.str(name, validate=allowed) if given(env, name) else "mymaster"


_SERVER_URL = validate.Regexp(
    r"(rediss?|unix)://.+", error="Must start with redis://, rediss:// or unix://."
)


def redis_url(env: Env, name: str) -> Any:
    return env.str(name, validate=_SERVER_URL) if given(env, name) else ""


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
