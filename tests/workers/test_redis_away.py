"""Redis goes away while jobs run, and comes back with the same data."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System, wait_until

LEASE = "2"
LONGER_THAN_A_LEASE_SECONDS = 3.0
LONGER_THAN_THE_SOCKET_TIMEOUT_SECONDS = 6.5


def killed(server: OwnServer, meanwhile: Callable[[], None]) -> None:
    server.kill()
    meanwhile()
    time.sleep(LONGER_THAN_A_LEASE_SECONDS)
    server.start()


def frozen(server: OwnServer, meanwhile: Callable[[], None]) -> None:
    server.freeze()
    meanwhile()
    time.sleep(LONGER_THAN_THE_SOCKET_TIMEOUT_SECONDS)
    server.thaw()


@pytest.mark.parametrize("away", [killed, frozen])
def test_workers_go_on_by_themselves_when_redis_comes_back(
    mortal_system: System, own_server: OwnServer, away: Callable[..., None]
) -> None:
    system = mortal_system
    retry_worker = system.start_idle(RETRY, LEASE_SECONDS=LEASE)
    worker = system.start(LEASE_SECONDS=LEASE)
    first, second = (system.folder / name for name in ("first", "second"))
    finish_meanwhile = [system.queue.submit("loops", {"until": str(first)}) for _ in range(2)]
    outlast = [system.queue.submit("loops", {"until": str(second)}) for _ in range(2)]
    for job_id in (*finish_meanwhile, *outlast):
        system.wait_for_run(job_id)
    waiting = [a.job_id for a in system.queue.submit_many([NewJob("noted")] * 100)]

    def let_two_finish() -> None:
        first.touch()
        for job_id in finish_meanwhile:
            wait_until(lambda id=job_id: system.runs(id, "end"), f"job {job_id} has ended")

    away(own_server, let_two_finish)
    for job_id in finish_meanwhile:
        system.wait_for(job_id, Status.SUCCESS)
    second.touch()
    system.wait_for_all(Status.SUCCESS, 104)

    assert worker.runs
    assert retry_worker.runs
    for job_id in (*finish_meanwhile, *outlast, *waiting):
        assert system.runs(job_id) == [worker.pid]
    assert system.totals()["died"] == system.totals()["lost"] == 0
    for process in (worker, retry_worker):
        assert "Traceback" not in process.log()


def test_workers_start_before_redis(mortal_system: System, own_server: OwnServer) -> None:
    own_server.kill()
    processes = [mortal_system.start(module) for module in ("workers.main_worker", RETRY)]
    for process in processes:
        wait_until(lambda p=process: "Waiting for Redis" in p.log(), "it waits")
    own_server.start()

    job_id = mortal_system.queue.submit("unlucky", max_retries=2)

    mortal_system.wait_for(job_id, Status.PERMANENTLY_FAILED)
    assert all(process.runs for process in processes)


def test_a_worker_that_redis_no_longer_knows_says_so_and_leaves(
    mortal_system: System, own_server: OwnServer
) -> None:
    processes = [mortal_system.start_idle(module) for module in ("workers.main_worker", RETRY)]
    own_server.kill()
    own_server.start("--requirepass", "changed")

    for process in processes:
        assert process.exit_code() == 2
        assert process.log().splitlines()[-1].startswith("Redis refuses the login: ")
        assert "Traceback" not in process.log()
