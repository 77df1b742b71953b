"""A seeded walk through all that workers and people can do, on a queue beside its reference.

Faster than the state machine and the same every time: what it needs to reach, it reaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from app.queue.job import Priority, Status
from app.queue.operations import Action
from app.queue.query import JobQuery
from app.queue.submission import NewJob
from tests.queue.pair import COMPLETE, ENDINGS, GIVE_UP, LEASE_MS, LIMIT, RELEASE, Pair

ALLOWED = {
    "retry": ("failed", "permanently_failed", "cancelled"),
    "cancel": ("pending", "scheduled", "failed", "processing"),
    "delete": ("pending", "scheduled", "failed", "success", "permanently_failed", "cancelled"),
}


def walk(pair: Pair, rng: random.Random, steps: int) -> None:
    """Takes so many steps; after every second, the store must equal the reference."""
    takes = list(WEIGHTS)
    for n, take in enumerate(rng.choices(takes, [WEIGHTS[take] for take in takes], k=steps)):
        take(pair, rng)
        if n % 2:
            pair.check()


def pass_time(pair: Pair, rng: random.Random) -> None:
    pair.advance(rng.choice((1, 400, 1_000, 3_000, LEASE_MS // 4, LEASE_MS // 2 + 1, -700)))


def submit(pair: Pair, rng: random.Random) -> None:
    if pair.reference.count("pending") > 6:
        return
    jobs = [
        NewJob(
            rng.choice(("noop", "send_email")),
            rng.choice(("{}", "[1]")),
            rng.choice(list(Priority)),
            delay_ms=rng.choice((None, None, 0, 500, 3_000)),
            tags=rng.choice(((), (), ("a",), ("a", "b"))),
            idempotency_key=rng.choice((None, None, None, "k1", "k2", "k3")),
            title=rng.choice((None, "Hello", "Grüße")),
            people=rng.choice(((), ("Ann@b.c",), ("ann@b.c", "bob@b.c"))),
        )
        for _ in range(rng.randint(1, 3))
    ]
    pair.submit(*jobs, twice=_twice(rng))


def claim(pair: Pair, rng: random.Random) -> None:
    pair.claim(rng.randint(1, 3), twice=_twice(rng), answered=rng.random() < 0.8)


def settle(pair: Pair, rng: random.Random) -> None:
    if held := pair.held():
        pair.settle(rng.choice(held), _ending(rng), twice=_twice(rng))


def settle_as_zombie(pair: Pair, rng: random.Random) -> None:
    if lost := pair.lost():
        ending = rng.choice((COMPLETE, _ending(rng)))
        pair.settle(rng.choice(lost), ending, twice=_twice(rng))


def settle_several_and_claim(pair: Pair, rng: random.Random) -> None:
    latest = pair.leases[-8:]
    ended = [(rng.choice(latest), _ending(rng)) for _ in range(rng.randint(1, 3)) if latest]
    pair.turn(ended, rng.randint(0, 2), twice=_twice(rng))


def renew(pair: Pair, rng: random.Random) -> None:
    jobs = rng.sample(pair.leases[-8:], min(2, len(pair.leases)))
    pair.renew(jobs, sending=rng.random() < 0.5, twice=_twice(rng))


def begin(pair: Pair, rng: random.Random) -> None:
    """A job with a death behind it, most of the time."""
    jobs = [job for job in pair.leases[-8:] if job.deaths or rng.random() < 0.2]
    for job in jobs[-3:]:
        pair.mark_begun(job, twice=_twice(rng))


def abandon(pair: Pair, rng: random.Random) -> None:
    leases = (pair.lost() if rng.random() < 0.5 else []) or pair.leases[-8:]
    if leases:
        pair.abandon(rng.choice(leases))


def act(pair: Pair, rng: random.Random) -> None:
    verb = rng.choice(list(ALLOWED))
    jobs = list(pair.reference.jobs.values())
    if rng.random() < 0.5:
        jobs = [job for job in jobs if job.status in ALLOWED[verb]]
    job_id = rng.choice(jobs).id if jobs else pair.reference.last_id + 1
    pair.act(verb, job_id, twice=_twice(rng))


def cancel_in_hand(pair: Pair, rng: random.Random) -> None:
    """Somebody asks to cancel a job that a worker holds, who then renews, and ends it somehow."""
    jobs = pair.held() or pair.claim(1)
    if jobs:
        job = rng.choice(jobs)
        pair.act("cancel", job.id)
        pair.renew([job], sending=True)
        pair.check()
        pair.settle(job, rng.choice(ENDINGS))


def operate(pair: Pair, rng: random.Random) -> None:
    query = JobQuery(
        status=rng.choice((None, *Status)),
        job_type=rng.choice((None, "noop")),
        tag=rng.choice((None, "a")),
        q=rng.choice((None, "#b")),
    )
    action: Action = rng.choice(("retry", "cancel", "delete"))
    pair.operate(action, query, rng.choice((1, 2, LIMIT)), twice=_twice(rng))


def send_again(pair: Pair, rng: random.Random) -> None:
    if pair.unanswered and rng.random() < 0.6:
        pair.claim_again(rng.randrange(len(pair.unanswered)))
    elif pair.acted:
        pair.send_again(-rng.randint(1, min(6, len(pair.acted))))


def pause_for_a_while(pair: Pair, rng: random.Random) -> None:
    pair.pause(True)
    settle_several_and_claim(pair, rng)
    send_again(pair, rng)
    pair.claim(2)
    pair.pause(False)


def promote(pair: Pair, rng: random.Random) -> None:
    if rng.random() < 0.5:
        pair.advance(3_000)
    pair.promote(rng.choice((1, 2, LIMIT)), twice=_twice(rng))


def reap(pair: Pair, rng: random.Random) -> None:
    pair.reap(rng.choice((1, LIMIT, LIMIT)), twice=_twice(rng))


def let_workers_die(pair: Pair, rng: random.Random) -> None:
    """Often those that run one job, again and again."""
    for again in range(rng.choice((1, 1, 3))):
        if again:
            pair.claim(1)
        if rng.random() < 0.8:
            for job in pair.held():
                pair.mark_begun(job)
        pair.let_leases_run_out()


def let_a_zombie_come_back(pair: Pair, rng: random.Random) -> None:
    """Its job was begun and given back by another worker meanwhile."""
    zombies = pair.held()
    pair.let_leases_run_out()
    pair.claim(3)
    for job in pair.held():
        pair.settle(job, _ending(rng))
    for job in zombies:
        pair.settle(job, COMPLETE)


def let_a_zombie_take_its_turn(pair: Pair, rng: random.Random) -> None:
    """It completes late what it held, and asks for as much as waits."""
    zombies = pair.held()
    pair.let_leases_run_out()
    pair.turn([(job, COMPLETE) for job in zombies[:2]], rng.randint(1, 3), twice=_twice(rng))


def live_dangerously(pair: Pair, rng: random.Random) -> None:
    """A job's workers die, perhaps past the point of no return; then one of them wakes up."""
    pair.submit(NewJob("noop", priority=Priority.HIGH))
    leases = []
    for _ in range(rng.randint(1, 2)):
        jobs = pair.claim(1)
        leases += jobs
        if rng.random() < 0.5:
            pair.renew(jobs, sending=True)
        pair.let_leases_run_out()
    if rng.random() < 0.7:
        for job in pair.claim(1):
            pair.settle(job, rng.choice((COMPLETE, GIVE_UP, RELEASE)))
            pair.check()
            pair.act("retry", job.id)
    pair.settle(rng.choice(leases), COMPLETE, twice=_twice(rng))


def trim(pair: Pair, rng: random.Random) -> None:
    if rng.random() < 0.5:
        pair.trim_by_count(rng.randint(1, 8), rng.choice((1, LIMIT)))
    else:
        pair.trim_by_age(rng.choice((0, LEASE_MS)), LEASE_MS * 2)


def repair(pair: Pair, rng: random.Random) -> None:
    pair.repair()


WEIGHTS: dict[Callable[[Pair, random.Random], None], int] = {
    pass_time: 10,
    submit: 10,
    claim: 14,
    settle: 12,
    settle_as_zombie: 10,
    settle_several_and_claim: 6,
    renew: 4,
    begin: 4,
    abandon: 3,
    act: 12,
    cancel_in_hand: 3,
    operate: 4,
    send_again: 4,
    pause_for_a_while: 2,
    promote: 5,
    reap: 4,
    let_workers_die: 4,
    let_a_zombie_come_back: 1,
    let_a_zombie_take_its_turn: 2,
    live_dangerously: 3,
    trim: 2,
    repair: 1,
}


def _ending(rng: random.Random) -> tuple[str, dict[str, int | None]]:
    return rng.choice((COMPLETE, *ENDINGS))


def _twice(rng: random.Random) -> bool:
    return rng.random() < 0.3
