"""Which server the sentinels' URL leads to. What happens in a failover: tests/soak."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.queue.jobqueue import JobQueue


def addresses(sentinels: Any) -> list[tuple[str, int]]:
    found = [one.connection_pool.connection_kwargs for one in sentinels.sentinels]
    return [(one["host"], one["port"]) for one in found]


def test_the_url_names_sentinels_master_and_passwords() -> None:
    client = connect("sentinel://:p%40@a:1,[::1]:2/mail?sentinel_password=q%26", name="tests")
    pool: Any = client.connection_pool
    assert addresses(pool.sentinel_manager) == [("a", 1), ("::1", 2)]
    assert pool.service_name == "mail"
    assert pool.connection_kwargs["password"] == "p@"
    assert pool.sentinel_manager.sentinel_kwargs["password"] == "q&"
    assert pool.connection_kwargs["socket_timeout"] == 5.0
    assert pool.sentinel_manager.sentinel_kwargs["socket_timeout"] < 1
    client.close()


def test_with_tls_both_are_asked_over_tls() -> None:
    client = connect("sentinels://a:1/mail?ssl_ca_certs=/ca.pem", name="tests")
    pool: Any = client.connection_pool
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    assert "SSL" in pool.connection_class.__name__
    sentinel: Any = pool.sentinel_manager.sentinels[0]
    assert "SSL" in sentinel.connection_pool.connection_class.__name__
    client.close()


def test_sentinels_that_do_not_answer_are_a_server_that_is_away(closed_port: int) -> None:
    url = f"sentinel://127.0.0.1:{closed_port},127.0.0.1:{closed_port}/mail"
    client = connect(url, name="tests")
    with pytest.raises(QueueUnavailable, match="No master found"):
        JobQueue(client).submit("noop")
    client.close()


def test_threads_that_look_for_the_master_at_once_forget_no_sentinel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = connect("sentinel://a:1,b:2,c:3/mail", name="tests")
    sentinels: Any = client.connection_pool.sentinel_manager  # type: ignore[attr-defined]
    state = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 2}
    for sentinel in sentinels.sentinels:
        host = sentinel.connection_pool.connection_kwargs["host"]
        monkeypatch.setattr(sentinel, "sentinel_masters", answering(host, state))
    before = sorted(addresses(sentinels))

    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: sentinels.discover_master("mail"), range(8)):
            assert found == ("m", 9)

    assert sorted(addresses(sentinels)) == before
    client.close()


def answering(host: str, state: dict[str, Any]) -> Any:
    def sentinel_masters() -> dict[str, Any]:
        time.sleep(0.005)  # others ask meanwhile
        if host != "c":
            raise ConnectionError("away")
        return {"mail": {**state, "ip": "m", "port": 9}}

    return sentinel_masters
