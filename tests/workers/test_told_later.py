"""What was finished while Redis was away outlives the worker that finished it."""

from __future__ import annotations

from pathlib import Path

from app.queue.job import Status
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System, wait_until

LEASE = "20"  # what is told by the next is told before the leases run out


def lines_in_journals(system: System) -> list[str]:
    folder = system.folder / "data" / "journal"
    return [line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def finish_two_groups_while_redis_is_away(system: System, server: OwnServer) -> list[int]:
    """Four jobs: two end before the worker has found out that Redis is away, two after that."""
    files = [system.folder / name for name in ("first", "second")]
    job_ids = [
        system.queue.submit("loops", {"until": str(file), "seconds": 600})
        for file in files
        for _ in range(2)
    ]
    for job_id in job_ids:
        system.wait_for_run(job_id)
    server.kill()
    files[0].touch()
    wait_until(lambda: len(lines_in_journals(system)) == 2, "two are in the journal")
    files[1].touch()
    wait_until(lambda: len(lines_in_journals(system)) == 4, "four are in the journal")
    return job_ids


def test_what_a_killed_worker_finished_while_redis_was_away_is_told_by_the_next(
    mortal_system: System, own_server: OwnServer
) -> None:
    system = mortal_system
    worker = system.start(LEASE_SECONDS=LEASE)
    job_ids = finish_two_groups_while_redis_is_away(system, own_server)
    worker.kill()
    own_server.start()
    retry_worker = system.start(RETRY, LEASE_SECONDS=LEASE)
    second = system.start(LEASE_SECONDS=LEASE)

    for job_id in job_ids:
        assert system.wait_for(job_id, Status.SUCCESS).result == "finished"
        assert system.runs(job_id) == [worker.pid]
    wait_until(lambda: not lines_in_journals(system), "the journal is gone")
    assert "from the journal of" in second.log()
    assert retry_worker.runs and second.runs
    assert list((system.folder / "data" / "journal").iterdir()) == []


def test_a_worker_that_lives_tells_all_itself_and_leaves_no_journal(
    mortal_system: System, own_server: OwnServer
) -> None:
    system = mortal_system
    worker = system.start(LEASE_SECONDS="60")
    job_ids = finish_two_groups_while_redis_is_away(system, own_server)
    own_server.start()

    for job_id in job_ids:
        system.wait_for(job_id, Status.SUCCESS)
        assert system.runs(job_id) == [worker.pid]
    wait_until(lambda: not lines_in_journals(system), "the journal is gone")


def test_another_worker_leaves_the_journal_of_a_living_one_alone(
    mortal_system: System, own_server: OwnServer
) -> None:
    system = mortal_system
    system.start(LEASE_SECONDS="60")
    job_ids = finish_two_groups_while_redis_is_away(system, own_server)
    other = system.start(LEASE_SECONDS="60")
    wait_until(lambda: "Waiting for Redis" in other.log(), "the other one is there")
    assert len(lines_in_journals(system)) == 4
    own_server.start()

    for job_id in job_ids:
        system.wait_for(job_id, Status.SUCCESS)
    assert "from the journal of" not in other.log()


def test_a_worker_stopped_while_redis_is_away_leaves_its_outcomes_to_the_next(
    mortal_system: System, own_server: OwnServer
) -> None:
    system = mortal_system
    worker = system.start(LEASE_SECONDS="60", SHUTDOWN_SECONDS="0.5")
    job_ids = finish_two_groups_while_redis_is_away(system, own_server)
    assert worker.stop() == 1
    own_server.start()
    system.start(LEASE_SECONDS="60")

    for job_id in job_ids:
        system.wait_for(job_id, Status.SUCCESS)
        assert system.runs(job_id) == [worker.pid]


def test_while_redis_answers_nothing_is_written(system: System) -> None:
    system.start()
    for _ in range(20):
        job_id = system.queue.submit("noted")
    system.wait_for(job_id, Status.SUCCESS)

    assert not (system.folder / "data" / "journal").exists()


def test_a_journal_that_can_not_be_written_stops_nothing(
    mortal_system: System, own_server: OwnServer
) -> None:
    system, until = mortal_system, mortal_system.folder / "until"
    Path(system.folder / "data").write_text("no folder")
    worker = system.start(LEASE_SECONDS="60")
    job_id = system.queue.submit("loops", {"until": str(until), "seconds": 600})
    system.wait_for_run(job_id)
    own_server.kill()
    until.touch()
    wait_until(lambda: "The journal can't be written" in worker.log(), "it has complained")
    own_server.start()

    system.wait_for(job_id, Status.SUCCESS)
    assert worker.log().count("The journal can't be written") == 1
    assert worker.runs
