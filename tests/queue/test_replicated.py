"""`replicas=1`: what counts as made is what a second server has as well."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.queue.connection import connect
from app.queue.errors import NotReplicated, QueueUnavailable
from app.queue.jobqueue import JobQueue
from tests.queue.forgetful import connect_forgetful
from tests.queue.steps import claim_one
from tests.workers.own_server import OwnServer
from tests.workers.processes import wait_until


class Pair:
    """A server with a replica that can be frozen."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.master, self.replica = OwnServer(folder / "m"), OwnServer(folder / "r")
        (folder / "m").mkdir()
        (folder / "r").mkdir()
        self.master.start(
            "--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"
        )
        self.replica.start("--replicaof", f"127.0.0.1 {port}")

    def end(self) -> None:
        self.replica.kill()
        self.master.kill()


@pytest.fixture
def pair() -> Iterator[Pair]:
    # Not pytest's folder: its path can be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="mailroom-pair-", dir="/tmp") as folder:
        pair = Pair(Path(folder))
        try:
            client = connect(pair.master.url, name="tests")
            # Something written: an offset of 0 is confirmed before the stream flows.
            client.set("begin", 1)
            wait_until(lambda: client.wait(1, 1000) == 1, "the replica follows")
            client.close()
            yield pair
        finally:
            pair.end()


@pytest.fixture
def master(pair: Pair) -> Iterator[redis.Redis]:
    client = connect(pair.master.url, name="tests")
    yield client
    client.close()


@pytest.fixture
def queue(master: redis.Redis) -> JobQueue:
    return JobQueue(master, lease_ms=5000, replicas=1)


def test_a_submission_is_answered_when_the_replica_has_it(pair: Pair, queue: JobQueue) -> None:
    job_id = queue.submit("noop")
    other = connect(pair.replica.url, name="tests")
    assert other.hexists(queue.keys.jobs, str(job_id))
    other.close()


def test_a_submission_that_no_replica_confirms_is_refused_until_it_is_confirmed(
    pair: Pair, queue: JobQueue, master: redis.Redis
) -> None:
    queue.submit("noop")
    pair.replica.freeze()
    with pytest.raises(NotReplicated):
        queue.submit("noop", idempotency_key="a")
    # The master has it, so nothing new is written; still it is not confirmed.
    with pytest.raises(NotReplicated):
        queue.submit("noop", idempotency_key="a")
    pair.replica.thaw()
    assert queue.submit("noop", idempotency_key="a") == 2
    assert queue.submit("noop") == 3


def test_a_call_sent_again_on_a_new_connection_is_not_confirmed_by_its_emptiness(
    pair: Pair, queue: JobQueue, monkeypatch: pytest.MonkeyPatch, master: redis.Redis
) -> None:
    monkeypatch.setattr("app.queue.jobqueue.new_nonce", lambda: "same")
    queue.submit("noop")
    pair.replica.freeze()
    master.connection_pool.disconnect()
    with pytest.raises(NotReplicated):
        queue.submit("noop")
    pair.replica.thaw()


def test_without_a_replica_no_attempt_passes_its_point_of_no_return(
    pair: Pair, queue: JobQueue
) -> None:
    job_id = queue.submit("noop")
    job = claim_one(queue)
    pair.replica.freeze()
    with pytest.raises(NotReplicated):
        queue.mark_sending(job)
    queue.release(job)  # what a worker does then
    pair.replica.thaw()
    job = claim_one(queue)
    assert (job.id, job.attempts, queue.mark_sending(job)) == (job_id, 2, "ok")
    queue.complete(job)


def test_the_master_forgets_its_scripts_and_learns_them_again(
    queue: JobQueue, master: redis.Redis
) -> None:
    queue.submit("noop")
    master.script_flush()
    assert queue.submit("noop") == 2


def test_a_master_that_forgets_its_scripts_again_and_again_is_asked_once(pair: Pair) -> None:
    client = connect_forgetful(pair.master.url)
    queue = JobQueue(client, replicas=1)
    assert [queue.submit("noop") for _ in range(2)] == [1, 2]
    pair.replica.freeze()
    with pytest.raises(NotReplicated):
        queue.submit("noop")
    pair.replica.thaw()
    client.close()


def test_a_refusal_of_the_script_is_told_as_without_replicas(
    queue: JobQueue, master: redis.Redis
) -> None:
    queue.submit("noop")
    master.config_set("min-replicas-to-write", 3)
    with pytest.raises(QueueUnavailable, match="NOREPLICAS"):
        queue.submit("noop")
