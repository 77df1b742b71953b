"""Scenario 1: workers are killed, at random, under load."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.queue.job import Job, Status
from app.queue.query import JobQuery
from tests.soak.judge import MailSink, Verdict, lost_jobs
from tests.soak.scenario import Size, jobs_for, moments, sizes, verdict_by_log
from tests.soak.system import Part, System, pid_in, running_system

RECOVERY_SECONDS = 15.0  # beyond the lease
Judge = Callable[[Verdict], Verdict]


@contextmanager
def crew_of(size: Size, **settings: str) -> Iterator[tuple[System, list[Part]]]:
    """API, retry worker and main workers, all at work."""
    with running_system(
        lease_seconds=size.lease_seconds, WORKER_CONCURRENCY=str(size.concurrency), **settings
    ) as system:
        system.start_api()
        system.start_retry_worker()
        workers = [system.start_worker() for _ in range(size.workers)]
        system.wait_for_workers(size.workers)
        yield system, workers


@sizes(
    short=Size(2_000, 5, 0.01, workers=2, concurrency=8, lease_seconds=2),
    long=Size(100_000, 100, 0.04, 4, 16, lease_seconds=10, patience_seconds=1800),
)
def test_no_job_is_lost_when_workers_are_killed(
    size: Size, rng: random.Random, soak_seed: int, judge: Judge
) -> None:
    with crew_of(size) as (system, workers):
        answered = system.submit(jobs_for(size, rng))

        in_hand = kill_at_random(system, workers, size, rng)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        log = system.log()
        verdict = judge(
            verdict_by_log(
                f"1 {size.faults} kills of {size.workers} workers",
                soak_seed,
                system,
                log,
                submitted=size.jobs,
                answered=answered,
                recovery_seconds=recovery,
            )
        )
        killed = {part.pid for part in system.parts if not part.runs}
        poison = poison_by(killed, system, size)
        assert verdict.finished == size.jobs - len(poison - log.finished.keys())
        assert system.counts()[Status.SUCCESS] == size.jobs - len(poison)
        others = log.ran_twice - in_hand
        assert others == system.starved(others, killed)


@sizes(
    short=Size(300, 3, 0, workers=2, concurrency=8, lease_seconds=2),
    long=Size(10_000, 30, 0, 4, 16, lease_seconds=10, patience_seconds=1800),
)
def test_no_mail_that_is_to_be_held_arrives_twice_and_none_is_unaccounted_for(
    size: Size, rng: random.Random, soak_seed: int, judge: Judge
) -> None:
    with (
        MailSink() as sink,
        crew_of(size, SMTP_HOST=sink.host, SMTP_PORT=str(sink.port), SMTP_SECURITY="none") as (
            system,
            workers,
        ),
    ):
        mail = {
            "to": "ann@example.com",
            "subject": "Soak",
            "message": "Once.",
            "on_ambiguous": "hold",
        }
        answered = system.submit([{"job_type": "send_email", "payload": mail}] * size.jobs)

        kill_at_random(system, workers, size, rng)
        recovery = system.wait_until_final(size.jobs, size.patience_seconds)

        arrived = sink.by_job()
        twice = sum(times > 1 for times in arrived.values())
        held = given_up(system)
        judge(
            Verdict(
                f"1 {size.faults} kills, mail, hold: {len(held)} held",
                soak_seed,
                submitted=size.jobs,
                answered=len(answered),
                finished=len(arrived),
                lost=len(lost_jobs(answered, arrived, system.inspector)),
                ran_twice=twice,
                done_twice=twice,
                suspected=system.suspected(),
                recovery_seconds=recovery,
            )
        )
        assert twice == 0
        assert system.counts()[Status.SUCCESS] + len(held) == size.jobs
        # Poison: it ran each of the three times that its worker was killed.
        reasons = Counter((job.last_error or "").partition(":")[0] for job in held)
        assert reasons.keys() <= {"ambiguous", "poison"}
        assert reasons["ambiguous"] <= system.suspected()
        assert reasons["poison"] <= size.faults // 10


def poison_by(killed: set[int], system: System, size: Size) -> set[int]:
    """The jobs that a kill met three times, which are poison by the rule and nothing else; few."""
    poison = given_up(system)
    for job in poison:
        assert (job.last_error or "").startswith("poison:"), job
        died = [one for one in system.inspector.attempts(job.id) if one.outcome == "died"]
        assert len({pid_in(one.worker) for one in died} & killed) == 3, died
    assert len(poison) <= size.faults // 10
    return {job.id for job in poison}


def given_up(system: System) -> list[Job]:
    pages = system.inspector.walk(JobQuery(status=Status.PERMANENTLY_FAILED))
    return [job for page in pages for job in page]


def kill_at_random(system: System, workers: list[Part], size: Size, rng: random.Random) -> set[int]:
    """Kills workers over the whole run, and starts others; the jobs that were in hand then."""
    in_hand: set[int] = set()
    for finished in moments(size, rng):
        system.wait_until_finished(finished, size.patience_seconds)
        at = rng.randrange(len(workers))
        workers[at].kill()
        in_hand |= system.in_hand(workers[at])
        workers[at] = system.restart(workers[at])
    return in_hand
