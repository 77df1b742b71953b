"""One POST to an address on the public internet, and to no other: guards against SSRF.

The name is resolved once, every address it has is checked, and the connection goes to a checked
address: a name that resolves to another one a moment later (DNS rebinding) gains nothing. Redirects
are answers like any other. No proxy is used.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

URL_MAX_CHARS = 2_000
CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0  # from connecting to the end of the answer's headers
TEXT_MAX_BYTES = 1_024  # of an answer's body; the rest is not read

# host, port → addresses. Raises OSError.
Resolve = Callable[[str, int], list[str]]


class Forbidden(Exception):
    """The URL, or an address it leads to, must not be asked. The message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after: str  # the header, "" for none
    text: bytes  # the beginning of the body; of a 2xx answer nothing is read


def check_url(url: str, *, allow_private: bool) -> SplitResult:
    """The URL in its parts. Raises ValueError with the rule it breaks; asks no name server."""
    schemes = ("https", "http") if allow_private else ("https",)
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > URL_MAX_CHARS:
        raise ValueError(
            f"Must be a URL of at most {URL_MAX_CHARS} ASCII characters; write other ones as "
            "xn--… in the host and %… elsewhere."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # empty or long labels
    except ValueError:
        raise ValueError("Must be a URL with a valid host and port.") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise ValueError(f"Must begin with {' or '.join(f'{s}://' for s in schemes)} and a host.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("Must have no user name, password or #fragment.")
    if not allow_private and _is_literal(host) and not is_public(host):
        raise ValueError(f"Must not lead to {host}, which is not a public address.")
    return parts


def is_public(text: str) -> bool:
    """Whether an IP address belongs to one machine on the public internet.

    After the IANA special-purpose registries (RFC 6890). An IPv4 address within an IPv6 one
    (RFC 4291, 3056, 6052) counts as itself.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is None:
            return address in _GLOBAL_UNICAST and address not in _EXAMPLES and address.is_global
        address = inner
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host, as the system's resolver orders them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    allow_private: bool,
    tls: ssl.SSLContext,
    total_seconds: float = TOTAL_SECONDS,
    resolve: Resolve = resolve,
) -> Answer:
    """Raises Forbidden; OSError and http.client.HTTPException when there is no answer."""
    try:
        parts = check_url(url, allow_private=allow_private)
    except ValueError as error:
        raise Forbidden(f"The URL can't be used. {error}") from None
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    addresses = resolve(host, port)
    for address in addresses:
        if not allow_private and not is_public(address):
            raise Forbidden(f"{host} leads to {address}, which is not a public address.")
    until = time.monotonic() + total_seconds
    sock = _connect(addresses, port, until)
    try:
        if secure:
            sock.settimeout(max(0.001, until - time.monotonic()))
            sock = tls.wrap_socket(sock, server_hostname=host)
        return _exchange(_Timed(sock, until), parts, body, headers)
    finally:
        sock.close()


def _connect(addresses: list[str], port: int, until: float) -> socket.socket:
    """To the first address that takes the connection."""
    failure: OSError = ConnectionError("The host has no address.")
    for address in addresses:
        seconds = min(CONNECT_SECONDS, until - time.monotonic())
        if seconds <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            failure = error
    raise failure


def _exchange(sock: Any, parts: SplitResult, body: bytes, headers: dict[str, str]) -> Answer:
    host, port = parts.hostname or "", parts.port
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(host, port)  # it knows the usual port, which stands not in `Host`
    connection.sock = sock
    connection.auto_open = 0
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    text = b"" if 200 <= response.status < 300 else _beginning(response)
    return Answer(response.status, response.getheader("Retry-After", ""), text)


def _beginning(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(TEXT_MAX_BYTES)
    except (OSError, http.client.HTTPException):
        return b""  # the status decides; this only says more


class _Timed:
    """A socket of which all use ends at one moment, however slowly the other side drips.

    It has what `http.client` needs. Whoever made the socket closes it.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def sendall(self, data: Any) -> None:
        self._set_timeout()
        self._sock.sendall(data)

    def recv_into(self, buffer: Any) -> int:
        self._set_timeout()
        return self._sock.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """`http.client` closes before it has read the body."""

    def _set_timeout(self) -> None:
        seconds_left = self._until - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(seconds_left)


class _Reader(io.RawIOBase):
    def __init__(self, sock: _Timed) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.recv_into(buffer)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(address.packed[12:]) if address in _NAT64 else None


_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_EXAMPLES = ipaddress.IPv6Network("3fff::/20")  # RFC 9637; Python 3.11 doesn't know it
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
