"""The point of no return: what is known of an attempt when its worker is lost after it."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from typing import Any

import pytest

from app.queue.job import Job, Status
from app.queue.submission import NewJob
from tests.mail.scripted import ScriptedServer, close, silence
from tests.mail.sink import SmtpSink
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System, WorkerProcess, wait_until

LEASE = "2"


def smtp(server: SmtpSink | ScriptedServer, **settings: str) -> dict[str, str]:
    """The settings that send mail there."""
    where = {"SMTP_HOST": server.host, "SMTP_PORT": str(server.port), "SMTP_SECURITY": "none"}
    return where | settings


def wait_for_note(system: System, job_id: int, what: str, count: int = 1) -> int:
    """The process of the job that noted `what`, once it has so often."""
    wait_until(lambda: len(system.runs(job_id, what)) >= count, f"job {job_id}: {what}")
    return system.runs(job_id, what)[count - 1]


def test_the_attempt_after_one_that_was_killed_behind_the_mark_is_unconfirmed(
    system: System,
) -> None:
    then = system.folder / "then"
    system.start(RETRY, LEASE_SECONDS=LEASE)
    first = system.start(LEASE_SECONDS=LEASE)
    job_id = system.queue.submit("sends", {"then": str(then)})
    assert wait_for_note(system, job_id, "marked") == first.pid
    first.kill()
    assert system.job(job_id).sending
    second = system.start(LEASE_SECONDS=LEASE)

    # It runs alone now, so the mark is made by a child process.
    child = wait_for_note(system, job_id, "marked", 2)
    assert child not in (first.pid, second.pid)
    job = system.job(job_id)
    assert (job.sending, job.unconfirmed, job.status) == (True, True, Status.PROCESSING)
    then.touch()

    job = system.wait_for(job_id, Status.SUCCESS)
    assert job.result == {"unconfirmed": True, "pid": child}
    assert not job.sending and not job.unconfirmed
    assert system.totals()["unconfirmed"] == 1


def test_a_job_that_is_killed_before_the_mark_is_not(system: System) -> None:
    first = system.folder / "first"
    system.start(RETRY, LEASE_SECONDS=LEASE)
    killed = system.start(LEASE_SECONDS=LEASE)
    job_id = system.queue.submit("sends", {"first": str(first)})
    system.wait_for_run(job_id)
    killed.kill()
    first.touch()
    system.start(LEASE_SECONDS=LEASE)

    job = system.wait_for(job_id, Status.SUCCESS)
    assert (job.result["unconfirmed"], job.deaths) == (False, 1)
    assert system.totals()["unconfirmed"] == 0


def test_a_job_that_was_cancelled_does_not_pass_the_mark(system: System) -> None:
    first = system.folder / "first"
    system.start(LEASE_SECONDS="600")  # no renewal tells it
    job_id = system.queue.submit("sends", {"first": str(first)})
    system.wait_for_run(job_id)
    system.queue.cancel(job_id)
    first.touch()

    assert system.wait_for(job_id, Status.SUCCESS).result == {"cancel_requested": True}
    assert system.runs(job_id, "marked") == []


def test_a_job_that_can_not_ask_for_the_mark_is_given_back_and_pays_nothing(
    mortal_system: System, own_server: OwnServer
) -> None:
    system, first = mortal_system, mortal_system.folder / "first"
    system.start(RETRY, LEASE_SECONDS=LEASE)
    system.start(LEASE_SECONDS=LEASE)
    job_id = system.queue.submit("sends", {"first": str(first)}, max_retries=1)
    system.wait_for_run(job_id)
    own_server.kill()
    first.touch()
    journal = system.folder / "data" / "journal"
    wait_until(lambda: list(journal.glob("*.jsonl")), "it was given up")
    own_server.start()

    job = system.wait_for(job_id, Status.SUCCESS)
    assert (job.retry_count, job.deaths) == (0, 0)
    assert system.outcomes(job_id) == ["released", "success"]
    assert system.attempts(job_id)[0].error.startswith("Redis is away: ")


def test_a_job_that_is_blocked_behind_the_mark_is_not_given_back_at_shutdown(
    system: System,
) -> None:
    worker = system.start(SHUTDOWN_SECONDS="0.2")
    job_id = system.queue.submit("sends", {"blocks_seconds": 600}, max_retries=1)
    wait_for_note(system, job_id, "marked")

    assert worker.stop() == 0

    job = system.job(job_id)
    assert (job.status, job.sending) == (Status.PROCESSING, True)
    assert system.outcomes(job_id) == []


@pytest.mark.parametrize("alone", [False, True])
def test_a_job_that_is_interrupted_behind_the_mark_is_not_given_back_at_shutdown(
    system: System, alone: bool
) -> None:
    never = str(system.folder / "never")
    system.start(RETRY, LEASE_SECONDS=LEASE)
    worker = system.start(SHUTDOWN_SECONDS="0.2", LEASE_SECONDS=LEASE)
    job_id = system.queue.submit("sends", {"then": never}, max_retries=1)
    wait_for_note(system, job_id, "marked")
    if alone:
        worker.kill()
        worker = system.start(SHUTDOWN_SECONDS="0.2", LEASE_SECONDS=LEASE)
        assert wait_for_note(system, job_id, "marked", 2) != worker.pid

    assert worker.stop() == 0

    died = 2 if alone else 1
    job = system.wait_for(job_id, Status.PENDING)
    assert (job.deaths, job.sending) == (died, True)
    assert system.outcomes(job_id) == ["died"] * died


def test_a_mail_whose_worker_was_killed_behind_the_dot_is_held(system: System) -> None:
    with ScriptedServer({".": silence}) as server:
        system.start(RETRY, LEASE_SECONDS=LEASE)
        first = system.start(**smtp(server, LEASE_SECONDS=LEASE))
        job_id = system.queue.submit("send_email", mail("a@example.com", on_ambiguous="hold"))
        server.wait_until(lambda: len(server.mails) == 1, 30)
        first.kill()
        second = system.start(**smtp(server, LEASE_SECONDS=LEASE))

        job = system.wait_for(job_id, Status.PERMANENTLY_FAILED)

        assert len(server.mails) == 1
    assert job.last_error is not None and job.last_error.startswith("ambiguous: ")
    assert job.result["unconfirmed"] is True
    assert system.outcomes(job_id) == ["died", "permanently_failed"]
    assert system.totals()["unconfirmed"] == 1
    assert second.runs


def test_a_mail_that_nobody_answered_is_sent_again_and_counted(system: System) -> None:
    with ScriptedServer({".": [close]}) as server:
        system.start(RETRY)
        system.start(**smtp(server))
        job_id = system.queue.submit("send_email", mail("a@example.com"))
        job = system.wait_for(job_id, Status.SUCCESS)
        first, second = server.mails

    assert first == second
    assert job.result["unconfirmed"] is True
    assert system.outcomes(job_id) == ["failed", "success"]
    assert system.totals()["unconfirmed"] == 1


@pytest.mark.parametrize("seed", [1])
def test_of_100_mails_none_arrives_twice_and_none_is_unaccounted_for_however_workers_die(
    system: System, seed: int
) -> None:
    rng = random.Random(seed)
    kills = sorted(rng.sample(range(5, 85), 5))
    addresses = [f"user{number}@example.com" for number in range(100)]
    with SmtpSink() as sink:
        settings = smtp(sink, LEASE_SECONDS="1")
        system.start(RETRY, LEASE_SECONDS="1")
        worker = system.start(**settings)
        new = [NewJob("send_email", mail_text(address)) for address in addresses]
        job_ids = [answer.job_id for answer in system.queue.submit_many(new)]
        for count in kills:
            kill_at(worker, sink, count, rng.uniform(0, 0.003))
            worker = system.start(**settings)
        wait_until(lambda: is_over(system), "every mail has its end")
        arrived = Counter(to for received in sink.mails for to in received.recipients)

    jobs = [system.job(job_id) for job_id in job_ids]
    assert max(arrived.values()) == 1
    for address, job in zip(addresses, jobs, strict=True):
        assert is_accounted_for(job, arrived[address]), job
    assert system.totals()["died"] >= 1
    assert sum(job.status == Status.SUCCESS for job in jobs) >= 50


def kill_at(worker: WorkerProcess, sink: SmtpSink, mails: int, seconds: float) -> None:
    sink.wait_for(mails, 60)
    time.sleep(seconds)  # where in the next mail the worker is by then is up to chance
    worker.kill()


def is_over(system: System) -> bool:
    counts = system.inspector.counts()
    return counts[Status.SUCCESS] + counts[Status.PERMANENTLY_FAILED] == 100


def is_accounted_for(job: Job, arrived: int) -> bool:
    """It arrived and is a success, or a person is told that nobody knows."""
    if job.status == Status.SUCCESS:
        return arrived == 1
    error = job.last_error or ""
    if error.startswith("poison: "):
        return arrived == 0 or error.endswith("; its work was perhaps done")
    return error.startswith("ambiguous: ")


def mail(to: str, **more: Any) -> dict[str, Any]:
    return {"to": to, "subject": "Hello", "message": "A test.", **more}


def mail_text(to: str) -> str:
    return json.dumps(mail(to, on_ambiguous="hold"))
