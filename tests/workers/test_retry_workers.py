"""None, one or two retry workers: retries happen, each once."""

from __future__ import annotations

from collections import Counter

from app.queue.job import Status
from app.queue.submission import NewJob
from tests.workers.processes import RETRY, System


def test_main_workers_stand_in_for_a_missing_retry_worker(system: System) -> None:
    first = system.start(LEASE_SECONDS="2")
    failing = system.queue.submit("unlucky", max_retries=3)
    delayed = system.queue.submit("echo", delay_ms=500)
    until = system.folder / "until"
    orphan = system.queue.submit("loops", {"until": str(until)})

    assert system.wait_for(failing, Status.PERMANENTLY_FAILED).retry_count == 3
    system.wait_for(delayed, Status.SUCCESS)
    system.wait_for_run(orphan)
    first.kill()
    until.touch()
    system.start(LEASE_SECONDS="2")

    assert system.wait_for(orphan, Status.SUCCESS).deaths == 1


def test_two_retry_workers_and_two_main_workers_double_nothing(system: System) -> None:
    for module in (RETRY, RETRY, "workers.main_worker", "workers.main_worker"):
        system.start(module)

    jobs = [NewJob("later", '{"delay_seconds": 0.05}')] * 200
    job_ids = [answer.job_id for answer in system.queue.submit_many(jobs)]
    system.wait_for_all(Status.SUCCESS, 200)

    runs = Counter(job_id for job_id, _, _ in system.notes())
    assert runs == dict.fromkeys(job_ids, 2)
    totals = system.totals()
    assert (totals["failed"], totals["retried"], totals["succeeded"]) == (200, 200, 200)
    assert totals["died"] == totals["lost"] == totals["late"] == 0
