"""A client of the master that serves one slot of a Redis Cluster, whoever that is at the time.

`cluster://[:password@]host:port[,host:port…]`; `clusters://` is the same over TLS. All keys of a
shard are in one slot, so a plain client is enough, and as fast as on a single server: the slot's
master is looked up when a connection is made, and again when a server says it is another.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qsl, unquote

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, MovedError, ReadOnlyError
from redis.retry import Retry

from app.queue.addresses import Address, address

# Several nodes may be asked before one answers, and the API has 2 s in all.
NODE_TIMEOUT_SECONDS = 0.3


def is_cluster_url(url: str) -> bool:
    return url.startswith(("cluster://", "clusters://"))


def client_of_slot(url: str, slot_key: str, options: dict[str, Any]) -> redis.Redis:
    """A client with these options of redis-py for the keys in the slot of `slot_key`.

    When no node knows the slot's master, connecting fails like a server that is away.
    """
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    login, _, hosts = rest.rstrip("/").rpartition("@")
    user, _, password = login.partition(":")
    # redis-py's names: `ssl` and the files' (`ssl_ca_certs`).
    tls: dict[str, Any] = {"ssl": True, **dict(parse_qsl(query))} if scheme == "clusters" else {}
    login_options: dict[str, Any] = {
        "username": unquote(user) or None,
        "password": unquote(password) or None,
    }
    asking = {
        "socket_timeout": NODE_TIMEOUT_SECONDS,
        "socket_connect_timeout": NODE_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the next node is the second try
        "client_name": options["client_name"],
        "decode_responses": True,
        **login_options,
        **tls,
    }
    nodes = Nodes([address(part) for part in hosts.split(",")], asking)
    is_tls = bool(tls.pop("ssl", False))
    pool = redis.ConnectionPool(
        connection_class=_SlotSSLConnection if is_tls else _SlotConnection,
        slot_master=_SlotMaster(nodes, key_slot(slot_key.encode())),
        **options,
        **login_options,
        **tls,
    )
    # The client closes the pool with itself, as it does with one that it made.
    return redis.Redis.from_pool(pool)


class Nodes:
    """Nodes of a cluster that can be asked which of them serves a slot."""

    def __init__(self, addresses: list[Address], options: dict[str, Any]) -> None:
        self._options = options
        self._known = addresses
        self._lock = threading.Lock()

    def master_of(self, slot: int) -> Address:
        """Raises redis.ConnectionError when nobody knows."""
        with self._lock:
            known = list(self._known)
        for at, node in enumerate(known):
            try:
                masters = self._ask(node)
            except redis.RedisError:
                continue
            master = next((m for first, last, m in masters if first <= slot <= last), None)
            if master is not None:
                # Whoever answered is asked first the next time; all others are remembered.
                others = known[at + 1 :] + known[:at] + [m for _, _, m in masters]
                with self._lock:
                    self._known = list(dict.fromkeys([node, *others]))
                return master
        raise redis.ConnectionError(f"No node of the cluster names a master for slot {slot}.")

    def suspect(self, node: Address) -> None:
        """Asks this one last: it can't be reached, or what it says was wrong."""
        with self._lock:
            self._known.sort(key=lambda known: known == node)

    def _ask(self, node: Address) -> list[tuple[int, int, Address]]:
        host, port = node
        with redis.Redis(host=host, port=port, **self._options) as client:
            ranges: Any = client.execute_command("CLUSTER SLOTS")
        # First slot, last slot, the master, its replicas. A node may not know its own host.
        return [
            (first, last, (host if master[0] in (None, "", "?") else master[0], master[1]))
            for first, last, master, *_ in ranges
        ]


class _SlotMaster:
    """Who serves one slot: what a server said that had it moved, else what the nodes say."""

    def __init__(self, nodes: Nodes, slot: int) -> None:
        self._nodes = nodes
        self._slot = slot
        self._said: Address | None = None

    def find(self) -> Address:
        said, self._said = self._said, None
        return said or self._nodes.master_of(self._slot)

    def moved(self, said: Address) -> None:
        self._said = said

    def suspect(self, node: Address) -> None:
        self._nodes.suspect(node)


class _SlotConnection(Connection):
    """Connects to the slot's master of then, and is over when that one no longer serves it."""

    def __init__(self, *, slot_master: _SlotMaster, **options: Any) -> None:
        self._slot_master = slot_master
        super().__init__(**options)  # type: ignore[no-untyped-call]

    # Every way to connect ends here; `connect` is but one of them.
    def _connect(self) -> Any:
        self.host, self.port = self._slot_master.find()
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except OSError:
            self._slot_master.suspect((self.host, self.port))
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except MovedError as error:
            self._slot_master.moved((error.host or self.host, error.port))
            raise self._end("Another node serves the slot now.") from error
        except (ReadOnlyError, ClusterDownError) as error:
            self._slot_master.suspect((self.host, self.port))
            raise self._end(str(error)) from error

    def _end(self, reason: str) -> redis.ConnectionError:
        """The next try asks anew who serves the slot."""
        self.disconnect()  # type: ignore[no-untyped-call]
        return redis.ConnectionError(reason)


class _SlotSSLConnection(_SlotConnection, SSLConnection):
    """The same over TLS."""
