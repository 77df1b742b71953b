"""How attempts end, seen from outside: submit to a real worker, look at the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from app.queue.job import Status
from tests.conftest import RedisServer
from tests.workers.processes import RETRY, System, system_on


@pytest.fixture(scope="module")
def running(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One main worker and one retry worker for all tests of this file."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    with system_on(server.url, tmp_path_factory.mktemp("outcomes")) as system:
        system.start(RETRY)
        system.start()
        yield system


def test_what_a_job_returns_becomes_its_result(running: System) -> None:
    job_id = running.queue.submit("echo", {"to": ["ü@b.example"], "n": 1})

    job = running.wait_for(job_id, Status.SUCCESS)

    assert job.result == {"to": ["ü@b.example"], "n": 1}
    assert job.retry_count == 0
    assert job.last_error is None
    assert running.outcomes(job_id) == ["success"]


def test_a_job_that_always_fails_is_given_up_after_max_retries(running: System) -> None:
    job_id = running.queue.submit("unlucky", max_retries=3)

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.retry_count, job.attempts, job.deaths) == (3, 3, 0)
    assert job.last_error == "ValueError: no luck in attempt 3"
    assert job.completed_at is not None
    attempts = running.attempts(job_id)
    assert [attempt.outcome for attempt in attempts] == ["failed", "failed", "permanently_failed"]
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.error for attempt in attempts] == [
        f"ValueError: no luck in attempt {number}" for number in (1, 2, 3)
    ]
    assert len(running.runs(job_id)) == 3


def test_a_permanent_failure_ends_the_job_at_once(running: System) -> None:
    job_id = running.queue.submit("permanent")

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.retry_count, job.last_error) == (1, "no such user")
    assert job.result == {"refused": ["a@b.example"]}
    [attempt] = running.attempts(job_id)
    assert (attempt.outcome, attempt.smtp_code) == ("permanently_failed", 550)


def test_retry_later_chooses_when_the_next_attempt_is_due(running: System) -> None:
    job_id = running.queue.submit("later", {"delay_seconds": 3600})

    job = running.wait_for(job_id, Status.FAILED)

    [attempt] = running.attempts(job_id)
    assert job.run_at == pytest.approx(attempt.ended_at + 3600, abs=0.002)
    assert (job.retry_count, job.last_error, attempt.smtp_code) == (1, "greylisted", 451)


def test_a_job_that_asked_to_come_later_comes_later(running: System) -> None:
    job_id = running.queue.submit("later", {"delay_seconds": 0.5})

    job = running.wait_for(job_id, Status.SUCCESS)

    first, second = running.attempts(job_id)
    assert second.started_at is not None
    assert second.started_at >= first.ended_at + 0.5
    assert (job.result, job.retry_count, job.last_error) == ("accepted", 1, "greylisted")


@pytest.mark.parametrize("delay_seconds", [0, 0.2])
def test_a_job_that_is_given_back_pays_no_attempt(running: System, delay_seconds: float) -> None:
    job_id = running.queue.submit("given_back", {"delay_seconds": delay_seconds}, max_retries=1)

    job = running.wait_for(job_id, Status.SUCCESS)

    assert (job.retry_count, job.deaths) == (0, 0)
    assert running.outcomes(job_id) == ["released", "success"]


@pytest.mark.parametrize(
    ("job_type", "payload", "error"),
    [
        ("exits", {}, "SystemExit: 3"),
        ("raises", {"exception": "KeyboardInterrupt"}, "KeyboardInterrupt: out of the ordinary"),
        ("raises", {"exception": "GeneratorExit"}, "GeneratorExit: out of the ordinary"),
        ("raises", {"exception": "OddEnd"}, "OddEnd: out of the ordinary"),
        ("raises", {"exception": "Silent"}, "Silent"),
    ],
)
def test_whatever_a_job_raises_fails_the_attempt_and_not_the_worker(
    running: System, job_type: str, payload: dict[str, str], error: str
) -> None:
    job_id = running.queue.submit(job_type, payload, max_retries=1)

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.last_error, job.retry_count) == (error, 1)
    assert_all_threads_work(running)


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("reason", "an exception"),
        ("delay", "Unusable RetryLater: no number"),
        ("infinite", "Unusable RetryLater: never"),
        ("code", "Unusable PermanentFailure: no number"),
    ],
)
def test_a_job_that_ends_with_nonsense_is_settled_all_the_same(
    running: System, end: str, error: str
) -> None:
    job_id = running.queue.submit("strange_end", {"end": end})

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert job.last_error is not None
    assert job.last_error.startswith(error)
    assert_all_threads_work(running)


def test_a_backoff_that_raises_is_replaced_by_the_common_one(running: System) -> None:
    job_id = running.queue.submit("broken_backoff")

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert (job.retry_count, job.last_error) == (2, "ValueError: no luck")


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("set", "not JSON"),
        ("object", "not JSON"),
        ("nan", "not JSON"),
        ("big", "40002 bytes; 32768 are allowed"),
    ],
)
def test_a_result_that_can_not_be_kept_does_not_fail_the_job(
    running: System, kept: str, said: str
) -> None:
    job_id = running.queue.submit("result", {"result": kept})

    job = running.wait_for(job_id, Status.SUCCESS)

    assert said in job.result["not_kept"]
    assert len(running.runs(job_id)) == 1


def test_a_job_type_that_the_worker_does_not_know_fails_and_names_those_it_knows(
    running: System,
) -> None:
    job_id = running.queue.submit("from_a_newer_version")

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert job.retry_count == 3
    assert job.last_error is not None
    assert "'from_a_newer_version'" in job.last_error
    assert "echo" in job.last_error


@pytest.mark.parametrize("payload", ['{"count": "many"}', '{"count": ', "[1]"])
def test_a_payload_that_no_longer_fits_is_not_tried_again(running: System, payload: str) -> None:
    job_id = running.queue.submit("counted", payload)

    job = running.wait_for(job_id, Status.PERMANENTLY_FAILED)

    assert job.retry_count == 1
    assert job.last_error is not None
    assert job.last_error.startswith("Invalid payload: ")
    assert running.runs(job_id) == []


def assert_all_threads_work(running: System) -> None:
    """As many jobs as the worker has threads run at once, all in the first main process."""
    until = running.folder / "all_run"
    until.unlink(missing_ok=True)
    job_ids = [running.queue.submit("loops", {"until": str(until)}) for _ in range(4)]
    pids = {running.wait_for_run(job_id) for job_id in job_ids}
    until.touch()
    for job_id in job_ids:
        running.wait_for(job_id, Status.SUCCESS)
    assert pids == {running.workers[1].pid}
