"""A plain client of the master that serves a slot, through failovers and moves of the slot."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from app.queue.cluster import Nodes
from app.queue.connection import connect, unavailable_as_queue_error
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.jobqueue import JobQueue
from tests.cluster.servers import Cluster
from tests.workers.processes import wait_until

FIRST = "{mr0}"  # in the first master's share of the slots


def port_of(client: redis.Redis) -> int:
    """Which server the client's idle connection leads to."""
    [connection] = client.connection_pool._available_connections  # type: ignore[attr-defined]
    return int(connection.port)


def test_each_client_speaks_to_the_master_of_its_slot(cluster: Cluster) -> None:
    for name in ("{mr0}", "{mr1}", "{mr2}", "{mr3}"):
        client = connect(cluster.url, name="tests", slot_key=name)
        assert client.set(f"{name}a", "1")
        share = key_slot(name.encode()) * len(cluster.masters) // 16384
        assert cluster.is_master(port_of(client))
        if share:  # the first may have been failed over
            assert port_of(client) == cluster.masters[share]
        client.close()


def test_a_queue_works_on_its_slot(cluster: Cluster) -> None:
    client = connect(cluster.url, name="tests", slot_key=FIRST)
    queue = JobQueue(client, prefix=FIRST)
    job_id = queue.submit("noop", idempotency_key="a")
    assert queue.submit("noop", idempotency_key="a") == job_id
    [job] = queue.claim("w")
    queue.complete(job)
    assert queue.repair() == []
    client.close()


def test_when_the_slot_moves_in_order_no_call_fails(cluster: Cluster) -> None:
    client = connect(cluster.url, name="tests", slot_key=FIRST)
    queue = JobQueue(client, prefix=FIRST)
    queue.submit("noop")
    before = port_of(client)
    [after] = {*cluster.ports_of(0)} - {before}

    cluster.command(after, "CLUSTER FAILOVER")
    wait_until(lambda: cluster.is_master(after) and not cluster.is_master(before), "they changed")

    [job] = queue.claim("w")
    assert job.id == 1
    assert port_of(client) == after
    cluster.wait_until_in_step()
    client.close()


def test_when_the_master_dies_the_client_goes_on_with_its_replica(cluster: Cluster) -> None:
    client = connect(cluster.url, name="tests", slot_key=FIRST)
    queue = JobQueue(client, prefix=FIRST, replicas=1)
    ids = [queue.submit("noop") for _ in range(20)]
    dead = port_of(client)

    cluster.kill(dead)
    with pytest.raises(QueueUnavailable):
        queue.claim("w", 20, nonce="n")
    found = wait_until(lambda: claimed_or_nothing(queue), "the replica was promoted")

    assert [job.id for job in found] == ids
    assert port_of(client) != dead
    cluster.restart(dead)
    cluster.wait_until_in_step()
    client.close()


def claimed_or_nothing(queue: JobQueue) -> list[Any]:
    with contextlib.suppress(QueueUnavailable):
        return list(queue.claim("w", 20, nonce="n"))
    return []


def test_nodes_that_do_not_answer_are_a_server_that_is_away(closed_port: int) -> None:
    client = connect(f"cluster://127.0.0.1:{closed_port}", name="tests", slot_key=FIRST)
    with pytest.raises(QueueUnavailable, match=f"No node .* for slot {key_slot(b'{mr0}')}"):
        JobQueue(client, prefix=FIRST).submit("noop")
    client.close()


def test_the_plain_url_of_a_node_says_that_this_is_a_cluster(cluster: Cluster) -> None:
    client = connect(f"redis://127.0.0.1:{cluster.masters[1]}", name="tests")
    with pytest.raises(ServerUnsuitable, match="REDIS_CLUSTER"):
        JobQueue(client, prefix=FIRST).submit("noop")
    client.close()


def test_one_node_that_answers_is_enough(cluster: Cluster, closed_port: int) -> None:
    url = f"cluster://127.0.0.1:{closed_port},127.0.0.1:{cluster.masters[1]}"
    client = connect(url, name="tests", slot_key=FIRST)
    with unavailable_as_queue_error():
        assert client.ping()
    client.close()


def test_all_nodes_are_remembered_and_a_suspect_is_asked_last(cluster: Cluster) -> None:
    seed = ("127.0.0.1", cluster.masters[1])
    nodes = Nodes([seed], {"decode_responses": True})
    nodes.master_of(0)
    assert {port for _, port in nodes._known} >= set(cluster.masters[1:])
    nodes.suspect(seed)
    assert nodes._known[-1] == seed
    assert len(nodes._known) == 3


def test_the_url_names_nodes_login_and_tls() -> None:
    client = connect("clusters://u:p%40@a:1,[::1]:2?ssl_ca_certs=/ca.pem", name="tests")
    pool: Any = client.connection_pool
    assert pool.connection_kwargs["username"] == "u"
    assert pool.connection_kwargs["password"] == "p@"
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    assert "SSL" in pool.connection_class.__name__
    master = pool.connection_kwargs["slot_master"]
    assert master._nodes._known == [("a", 1), ("::1", 2)]
    assert master._nodes._options["ssl"] is True
    client.close()
