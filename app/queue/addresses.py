"""Where servers are, as URLs list it."""

from __future__ import annotations

Address = tuple[str, int]


def address(text: str) -> Address:
    """`host:port`, or `[IPv6]:port`."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
