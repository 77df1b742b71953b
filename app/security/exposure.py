"""Whether strangers can reach us, and whether anything is asked of them. Loads no Flask."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.config import Config, ConfigError
from app.queue.connection import connect
from app.queue.errors import QueueError
from app.security.api_keys import ApiKeys
from app.settings.servers import is_loopback

# A proxy sets one of these; whom it lets through, we can't know.
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")
_TIMEOUT_SECONDS = 2.0


def check_password(config: Config) -> None:
    """Raises ConfigError when other machines could use the dashboard without a password."""
    if not config.is_exposed or config.allow_insecure or _operator_exists(config):
        return
    raise ConfigError(
        f"{_why(config)} Set DASHBOARD_PASSWORD_HASH (`flask password` makes one) and make an API "
        "key (`flask keys create`), or set ALLOW_INSECURE=1: docs/security.md."
    )


def check_start(config: Config) -> None:
    """Raises ConfigError when other machines could reach us and there is no password or no key.

    Redis away is no reason to refuse: the API then asks for a key all the same.
    """
    check_password(config)
    if config.allow_insecure or not config.is_exposed:
        return
    client = connect(
        config.server_url,
        name="mailroom:start",
        timeout_seconds=_TIMEOUT_SECONDS,
        connect_timeout_seconds=_TIMEOUT_SECONDS,
        slot_key=config.key_prefix,
    )
    try:
        any_made = ApiKeys(client, prefix=config.key_prefix).any_made()
    except QueueError:
        return
    finally:
        client.close()
    if not any_made:
        raise ConfigError(
            f"{_why(config)} No API key was made. Make one: `flask keys create NAME`, while Redis "
            "runs (the embedded one: start with HOST=127.0.0.1 and TRUSTED_PROXIES=0 first); or "
            "set ALLOW_INSECURE=1: docs/security.md."
        )


def serves_strangers(config: Config, environ: Mapping[str, Any]) -> bool:
    """Whether this request may be answered without asking who sent it.

    Without ALLOW_INSECURE only what comes straight from a program on this machine is: not through
    a proxy, which may let anybody in, and not under another host name, by which a page of
    another site gets past the browser's same-origin rule (DNS rebinding). What counts is the
    connection and not HOST alone: `gunicorn --bind` goes before it.
    """
    if config.allow_insecure:
        return True
    return (
        not config.is_exposed
        and _is_loopback_address(str(environ.get("REMOTE_ADDR", "")))
        and not any(environ.get(name) for name in _FORWARDED)
        and _names_this_machine(str(environ.get("HTTP_HOST", "")))
    )


def _operator_exists(config: Config) -> bool:
    roles = {role for _, role, _ in config.dashboard_users}
    return bool(config.dashboard_password_hash) or "operator" in roles


def _why(config: Config) -> str:
    if is_loopback(config.host):
        return "TRUSTED_PROXIES: other machines reach us through the proxy."
    return f"HOST: {config.host} can be reached from other machines."


# Nearly every request comes from the few same addresses, and to the same host.
@lru_cache(maxsize=256)
def _is_loopback_address(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a unix socket has no address
        return False


@lru_cache(maxsize=256)
def _names_this_machine(host: str) -> bool:
    """Of a Host header, port and all."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name.lower()) or name.lower().endswith(".localhost")
