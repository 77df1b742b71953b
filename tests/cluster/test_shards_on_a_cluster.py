"""A queue of four shards on three masters with a replica each, while servers die."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.queue.errors import NotReplicated, QueueUnavailable
from app.queue.growth import grow
from app.queue.submission import NewJob
from tests.cluster.servers import Cluster, running_cluster
from tests.cluster.shards import SHARDS, ShardedSystem, sharded_system
from tests.workers.processes import PATIENCE_SECONDS, RETRY, wait_until

# Of {mr0}, {mr1}, {mr2} and {mr3}: which master has their slots.
MASTER_OF = [0, 0, 1, 2]


@pytest.fixture(scope="module")
def mortal_cluster() -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-test-", dir="/tmp") as folder,
        running_cluster(Path(folder), masters=3, with_replica=[0, 1, 2]) as cluster,
    ):
        yield cluster


@pytest.fixture
def system(mortal_cluster: Cluster, tmp_path: Path) -> Iterator[ShardedSystem]:
    for port in mortal_cluster.ports:
        # As docs/scaling.md says: a slot that is away must not stop the others.
        mortal_cluster.command(port, "CONFIG SET", "cluster-require-full-coverage", "no")
        if mortal_cluster.is_master(port):
            mortal_cluster.command(port, "FLUSHALL")
    with sharded_system(mortal_cluster, tmp_path, durability="replicated") as system:
        yield system


def serving(cluster: Cluster, at: int) -> int:
    """The port of the server that is master of that share now."""
    found: int = wait_until(
        lambda: next((port for port in cluster.ports_of(at) if cluster.is_master(port)), 0),
        "a master is there",
    )
    return found


class Submitter:
    """Submits as an application does: again with the same key, until it is told the id."""

    def __init__(self, system: ShardedSystem, name: str) -> None:
        self.known: dict[str, int] = {}
        self._system = system
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        queue = self._system.open().queue
        count = 0
        while not self._stop.is_set():
            key = f"{self._name}-{count}"
            try:
                self.known[key] = queue.submit("noted", idempotency_key=key)
            except QueueUnavailable:
                self._stop.wait(0.05)
            else:
                count += 1


def test_a_master_dies_and_its_replica_is_promoted_under_load(system: ShardedSystem) -> None:
    cluster = system.cluster
    for _ in range(2):
        system.start()
    system.start(RETRY)
    submitters = [Submitter(system, f"s{n}") for n in range(3)]
    victim = serving(cluster, 0)
    try:
        wait_until(lambda: sum(len(one.known) for one in submitters) > 150, "jobs come in")
        wait_until(lambda: system.statuses()["success"] > 50, "jobs are done")
        cluster.kill(victim)
        [heir] = {*cluster.ports_of(0)} - {victim}
        wait_until(lambda: cluster.is_master(heir), "the replica is promoted")
        told = sum(len(one.known) for one in submitters)
        # No replica is left there, so what must be replicated is taken by the others alone: until
        # the dead one is back as the replica of its heir.
        cluster.restart(victim)
        cluster.wait_until_in_step()
        wait_until(
            lambda: sum(len(one.known) for one in submitters) > told + 100, "jobs come in again"
        )
    finally:
        for one in submitters:
            one.stop()

    known = {key: job_id for one in submitters for key, job_id in one.known.items()}
    assert len(set(known.values())) == len(known)
    wait_until(lambda: _all_done(system), "all jobs are done")
    assert {job_id % SHARDS for job_id in known.values()} == {0, 1, 2, 3}
    for job_id in known.values():
        part = system.queue.shards.of_job(job_id)
        assert system.store.client_of(job_id % SHARDS).hexists(part.keys.jobs, str(job_id))
    # One whose end was forgotten with the dead master may have run again; none was left out.
    assert {*known.values()} <= {job_id for job_id, _, _ in system.system.notes()}
    queue = system.open().queue
    for key, job_id in list(known.items())[::10]:
        assert queue.submit("noted", idempotency_key=key) == job_id
    assert [part.repair() for part in queue.parts()] == [[]] * SHARDS
    for worker in system.system.workers:
        assert worker.runs
        assert worker.stop() == 0


def test_with_two_replicas_the_heir_takes_jobs_though_its_master_stays_away(
    tmp_path: Path,
) -> None:
    """As docs/scaling.md has it: a master that no replica follows accepts nothing."""
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-test-", dir="/tmp") as folder,
        running_cluster(Path(folder), masters=3, with_replica=[0, 0]) as cluster,
    ):
        for port in cluster.ports_of(0):
            cluster.command(port, "CONFIG SET", "min-replicas-to-write", 1)
        with sharded_system(cluster, tmp_path, durability="replicated", shards=1) as system:
            before, _ = _submit(system, 20)
            cluster.kill(serving(cluster, 0))

            after, _ = _submit(system, 20)

            assert min(after) > max(before)
            inspector = system.store.inspector()
            assert [inspector.job(job_id).id for job_id in before + after] == before + after


def test_home_dies_while_its_replica_has_not_heard_of_more_shards(system: ShardedSystem) -> None:
    cluster, queue = system.cluster, system.queue
    known, _ = _submit(system, 2 * SHARDS)
    master, replica = _both(cluster, MASTER_OF[0])
    os.kill(cluster.pid(replica), signal.SIGSTOP)
    cluster.command(master, "CLIENT KILL", "TYPE", "REPLICA")
    with pytest.raises(NotReplicated):
        grow(queue.shards, 2 * SHARDS)
    others = system.open().queue
    for _ in range(2 * SHARDS):
        with suppress(QueueUnavailable):
            known.append(others.submit("noted"))

    cluster.kill(master)
    os.kill(cluster.pid(replica), signal.SIGCONT)
    wait_until(lambda: cluster.is_master(replica), "the replica is promoted")
    cluster.restart(master)
    cluster.wait_until_in_step()
    wait_until(lambda: _is_grown(system, 2 * SHARDS), "the same command finishes it")

    later, refused = _submit(system, 4 * SHARDS)
    assert refused == 0
    assert {job_id % (2 * SHARDS) for job_id in later} == set(range(2 * SHARDS))
    for job_id in known + later:
        assert queue.cancel(job_id)


def _is_grown(system: ShardedSystem, shards: int) -> bool:
    with suppress(QueueUnavailable):
        return grow(system.queue.shards, shards).shards == shards
    return False


def test_a_shard_that_is_away_stops_no_other(system: ShardedSystem, tmp_path: Path) -> None:
    cluster, queue = system.cluster, system.queue
    master, replica = _both(cluster, MASTER_OF[2])
    worker = system.start(WORKER_CONCURRENCY="8")
    retry = system.start(RETRY)
    go_on = tmp_path / "go on"
    held = [queue.submit("loops", {"until": str(go_on)}) for _ in range(SHARDS)]
    for job_id in held:
        system.system.wait_for_run(job_id)
    [lost_sight_of] = [job_id for job_id in held if job_id % SHARDS == 2]

    cluster.kill(replica)
    cluster.kill(master)
    go_on.touch()
    later, refused = _submit(system, 60)

    assert refused < 10  # found away, then passed over
    others = {job_id for job_id in held + later if job_id % SHARDS != 2}
    wait_until(lambda: _done(system, [0, 1, 3]) == len(others), "the others' jobs are done")
    assert system.system.runs(lost_sight_of, "end")

    cluster.restart(master)
    cluster.restart(replica)
    wait_until(lambda: _done(system, [2]) == 1, "the outcome of the last is told")
    assert len(system.system.runs(lost_sight_of)) == 1
    assert _all_done(system)
    assert [worker.stop(), retry.stop()] == [0, 0]
    assert not list((tmp_path / "data" / "journal").glob("*"))
    cluster.wait_until_in_step()


def _both(cluster: Cluster, at: int) -> tuple[int, int]:
    master = serving(cluster, at)
    [replica] = {*cluster.ports_of(at)} - {master}
    return master, replica


def _submit(system: ShardedSystem, count: int) -> tuple[list[int], int]:
    """The ids, and how often it was refused."""
    ids: list[int] = []
    refused = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ids) < count:
        assert time.monotonic() < deadline, f"{len(ids)} of {count} were taken in"
        try:
            ids += [one.job_id for one in system.queue.submit_many([NewJob("noted")])]
        except QueueUnavailable:
            refused += 1
    return ids, refused


def _done(system: ShardedSystem, shards: list[int]) -> int:
    prefixes = [system.queue.parts()[number].keys.prefix for number in shards]
    try:
        return sum(system.statuses_at(prefix).get("success", 0) for prefix in prefixes)
    except QueueUnavailable:
        return -1


def _all_done(system: ShardedSystem) -> bool:
    try:
        return set(system.statuses()) == {"success"}
    except QueueUnavailable:
        return False
