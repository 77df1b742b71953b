"""Each guard in the Lua is needed: without it, a walk, the model or a damaged store shows it.

In the suite the same seeded walks look for each mutant. `pytest -m soak tests/mutation` also has
other walks and hypothesis look for it, with fresh seeds: each must find it every time. The seeds
are printed with a failure; MUTATION_SEED repeats them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from app.queue.jobqueue import JobQueue
from tests.mutation.leases import LEASES
from tests.mutation.places import PLACES
from tests.mutation.statuses import STATUSES
from tests.queue.invariants import check
from tests.queue.machine import QueueMachine
from tests.queue.pair import Pair
from tests.queue.steps import claim_one, let_leases_run_out
from tests.queue.virtual_time import Clock, replace_once, virtual_source
from tests.queue.walk import walk

Source = Callable[[str], str]

WALKS = 60
STEPS = 60
SCRIPTS = ("submit", "turn", "delete")  # use all that is shared and mutated
MUTANTS = LEASES | PLACES | STATUSES


def test_the_scripts_as_they_are_pass_every_walk(client: redis.Redis) -> None:
    take_walks(client, virtual_source(client))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_walk_notices_that(client: redis.Redis, name: str) -> None:
    source = mutated(virtual_source(client), *MUTANTS[name])

    with pytest.raises((AssertionError, redis.ResponseError)):
        take_walks(client, source)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_other_walks_notice_every_time_that(client: redis.Redis, name: str) -> None:
    source = mutated(virtual_source(client), *MUTANTS[name])

    for first in fresh_seeds(5):
        with pytest.raises((AssertionError, redis.ResponseError)):
            take_walks(client, source, first, walks=3 * WALKS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_the_model_notices_every_time_that(client: redis.Redis, name: str) -> None:
    source = mutated(virtual_source(client), *MUTANTS[name])

    for number in fresh_seeds(3):
        with pytest.raises((AssertionError, redis.ResponseError)):
            run_model(client, source, number)


def take_walks(client: redis.Redis, source: Source, first: int = 0, walks: int = WALKS) -> None:
    for number in range(first, first + walks):
        walk(Pair(client, source), random.Random(number), STEPS)


def run_model(client: redis.Redis, source: Source, number: int) -> None:
    run_state_machine_as_test(
        seed(number)(lambda: QueueMachine(client, source)),
        settings=settings(
            max_examples=1_000,
            stateful_step_count=STEPS,
            database=None,
            # That it is found is enough; the shortest way to it is of no interest here.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def fresh_seeds(count: int) -> list[int]:
    first = int(os.environ.get("MUTATION_SEED") or random.randrange(10**6))
    print(f"MUTATION_SEED={first}")
    return [first + 10_000 * n for n in range(count)]


# Guards against a store that is damaged already.
CAUGHT_BY_DAMAGE = {
    "a claim takes a job that is not pending": (
        "turn",
        'if record and record.status == "pending" then',
        "if record then",
    ),
    "the reaper takes a job that is not processing": (
        "reap",
        'if not record or record.status ~= "processing" then',
        "if not record then",
    ),
    "promoting takes a job that does not wait": (
        "promote",
        "if record and record.status == status then",
        "if record then",
    ),
    "trimming takes a job that is not finished": (
        "trim",
        "if record and FINAL[record.status] then",
        "if record then",
    ),
}


@pytest.mark.parametrize("name", CAUGHT_BY_DAMAGE)
def test_a_damaged_store_shows_that(client: redis.Redis, name: str) -> None:
    clock = Clock(client)
    verbs_bear_strange_ids(client, clock, virtual_source(client))

    client.flushall()
    clock.advance(ms=0)
    with pytest.raises((AssertionError, redis.ResponseError)):
        source = mutated(virtual_source(client), *CAUGHT_BY_DAMAGE[name])
        verbs_bear_strange_ids(client, clock, source)


def verbs_bear_strange_ids(client: redis.Redis, clock: Clock, source: Source) -> None:
    """Ids in places that are not theirs are passed over, and the jobs stay as they are."""
    queue = JobQueue(client, source=source)
    queue.submit("noop")
    queue.complete(claim_one(queue))
    waiting = queue.submit("noop", delay_ms=10**9)
    for place in ("Mail_queue", "Retry_queue", "Scheduled_queue", "Processing"):
        client.zadd(place, {"1": 1})
    client.zadd("Completed:success:noop:low:1", {str(waiting): 1})

    queue.promote()
    let_leases_run_out(queue, clock)
    queue.trim(success_max_age_ms=10**7)
    assert queue.claim("w1", 1) == []
    client.zrem("Completed:success:noop:low:1", str(waiting))

    records = check(client)
    assert [record["status"] for record in records.values()] == ["success", "scheduled"]


def mutated(source: Source, verb: str, old: str, new: str) -> Source:
    def mutate(name: str) -> str:
        text = source(name)
        # Of what all share, a script has what it uses.
        return replace_once(text, old, new) if verb == name or verb == "*" and old in text else text

    # Here, not where its failure would pass for a mutant that was noticed.
    verbs = SCRIPTS if verb == "*" else [verb]
    assert any(mutate(name) != source(name) for name in verbs), f"{old!r} is in no script"
    return mutate
