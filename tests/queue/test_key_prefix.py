"""Two queues in one server don't see each other."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import redis

from app.queue.errors import JobNotFound
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from tests.queue.invariants import check
from tests.queue.steps import claim_one, job_in, let_leases_run_out
from tests.queue.virtual_time import NOW_KEY, Clock

PREFIXES = ["", "shop:", "{mr0}", "a%1.%s-*[x]?^$ é:"]


@pytest.fixture(params=PREFIXES)
def prefix(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def everything(queue: JobQueue, clock: Clock) -> None:
    """A job in each status, a deleted one, a trimmed one, a dead worker, a known key."""
    for status in Status:
        if status != Status.PENDING:
            job_in(status, queue, clock, tags=("acme",))
    queue.delete(queue.submit("noop", idempotency_key="k"))
    queue.renew("w1", [], {"pid": 1})
    let_leases_run_out(queue, clock)
    queue.promote()
    queue.trim(max_jobs=1)
    queue.pause()


def test_every_key_stands_behind_the_prefix(
    make_queue: Callable[..., JobQueue], store: redis.Redis, clock: Clock, prefix: str
) -> None:
    queue = make_queue(prefix=prefix)
    everything(queue, clock)

    keys = set(store.scan_iter("*", 1000)) - {NOW_KEY}
    assert len(keys) > 20
    assert [key for key in keys if not key.startswith(prefix)] == []
    check(store, prefix)


def test_two_queues_in_one_server_do_not_see_each_other(
    make_queue: Callable[..., JobQueue], store: redis.Redis, clock: Clock
) -> None:
    mine, other = make_queue(prefix="mine:"), make_queue(prefix="other:")
    everything(other, clock)
    before = check(store, "other:")

    assert mine.submit("noop", idempotency_key="k") == 1
    job = claim_one(mine)
    with pytest.raises(JobNotFound):
        mine.delete(2)
    mine.complete(job)
    clock.advance(seconds=10**6)
    mine.promote()
    mine.reap()
    mine.trim(success_max_age_ms=1, failed_max_age_ms=1, max_jobs=1)
    assert mine.repair() == []

    assert check(store, "mine:") == {}
    assert check(store, "other:") == before


def test_a_queue_without_prefix_lives_beside_one_with(
    make_queue: Callable[..., JobQueue], store: redis.Redis, clock: Clock
) -> None:
    plain, prefixed = make_queue(), make_queue(prefix="shop:")
    rng = random.Random(1)
    for _ in range(60):
        queue = rng.choice((plain, prefixed))
        queue.submit("noop")
        for job in queue.claim("w1", rng.randint(0, 2)):
            queue.complete(job)

    others = frozenset(store.scan_iter("shop:*", 1000))
    ids = set(check(store, others=others)), set(check(store, "shop:"))
    assert [sorted(found) for found in ids] == [list(range(1, len(found) + 1)) for found in ids]
