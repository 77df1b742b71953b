"""The URL of the Redis server that the settings name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode


class RedisSettings(Protocol):
    """What it takes from `Config`."""

    @property
    def redis_url(self) -> str: ...
    @property
    def redis_host(self) -> str: ...
    @property
    def redis_port(self) -> int: ...
    @property
    def redis_password(self) -> str: ...
    @property
    def redis_ssl(self) -> bool: ...
    @property
    def redis_ssl_ca_file(self) -> str: ...
    @property
    def redis_sentinels(self) -> tuple[str, ...]: ...
    @property
    def redis_sentinel_master(self) -> str: ...
    @property
    def redis_sentinel_password(self) -> str: ...
    @property
    def redis_cluster(self) -> tuple[str, ...]: ...
    @property
    def embedded_socket(self) -> Path: ...


def server_url(settings: RedisSettings) -> str:
    """May hold the password: never log it."""
    if settings.redis_url:
        return settings.redis_url
    login = f":{quote(settings.redis_password, safe='')}@" if settings.redis_password else ""
    ca_file = {"ssl_ca_certs": settings.redis_ssl_ca_file} if settings.redis_ssl else {}
    if settings.redis_sentinels:
        sentinels = ",".join(settings.redis_sentinels)
        more = {"sentinel_password": settings.redis_sentinel_password, **ca_file}
        scheme = "sentinels" if settings.redis_ssl else "sentinel"
        return f"{scheme}://{login}{sentinels}/{settings.redis_sentinel_master}{_query(more)}"
    if settings.redis_cluster:
        scheme = "clusters" if settings.redis_ssl else "cluster"
        return f"{scheme}://{login}{','.join(settings.redis_cluster)}{_query(ca_file)}"
    if not settings.redis_host:
        return f"unix://{quote(str(settings.embedded_socket))}"
    scheme = "rediss" if settings.redis_ssl else "redis"
    host = f"[{settings.redis_host}]" if ":" in settings.redis_host else settings.redis_host
    return f"{scheme}://{login}{host}:{settings.redis_port}/0{_query(ca_file)}"


def without_password(url: str) -> str:
    """The same URL, safe to print."""
    url = re.sub(r"(?<=[?&]sentinel_password=)[^&]*", "***", url)
    return re.sub(r"(?<=://)[^/?]*:[^/?]*@", "***@", url)


def _query(values: dict[str, str]) -> str:
    given = {name: value for name, value in values.items() if value}
    return f"?{urlencode(given, safe='/', quote_via=quote)}" if given else ""
