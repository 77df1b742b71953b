"""A client of the master that Redis' sentinels name at the time.

`sentinel://[:password@]host:port[,host:port…]/master[?sentinel_password=…]`; `sentinels://` is the
same over TLS, to the sentinels as well as to the server.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qsl, unquote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from app.queue.addresses import address

# Several may be asked before one answers, and the API has 2 s in all.
SENTINEL_TIMEOUT_SECONDS = 0.3


def is_sentinel_url(url: str) -> bool:
    return url.startswith(("sentinel://", "sentinels://"))


def client_by_sentinels(url: str, options: dict[str, Any]) -> redis.Redis:
    """A client with these options of redis-py. Each new connection goes to the master of then.

    The sentinels are asked when it connects; when none names a master, that fails like a server
    that is away. A server that was demoted answers READONLY, which ends its connection.
    """
    # Not urlsplit: it knows of one host, and may refuse a list with an IPv6 address.
    scheme, _, rest = url.partition("://")
    rest, _, query_text = rest.partition("?")
    netloc, _, master_name = rest.partition("/")
    login, _, hosts = netloc.rpartition("@")
    query = dict(parse_qsl(query_text))
    sentinel_password = query.pop("sentinel_password", None)
    # redis-py's names: `ssl` and the files' (`ssl_ca_certs`).
    tls: dict[str, Any] = {"ssl": True, **query} if scheme == "sentinels" else {}
    addresses = [address(part) for part in hosts.split(",")]
    sentinel_options: dict[str, Any] = {
        "socket_timeout": SENTINEL_TIMEOUT_SECONDS,
        "socket_connect_timeout": SENTINEL_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the next sentinel is the second try
        "client_name": options["client_name"],
        "password": sentinel_password,
        "decode_responses": True,
        **tls,
    }
    sentinels: Any = _Sentinels(addresses, sentinel_kwargs=sentinel_options)
    password = unquote(login.partition(":")[2]) or None
    master: redis.Redis = sentinels.master_for(master_name, password=password, **options, **tls)
    return master


class _Sentinels(Sentinel):
    """redis-py moves the sentinel that answered to the front of its list, in two steps: of two
    threads that do so at once, one writes over a sentinel, which is then never asked again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._one_at_a_time = threading.Lock()

    def discover_master(self, service_name: str) -> tuple[str, int]:
        with self._one_at_a_time:
            master: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]
        return master
