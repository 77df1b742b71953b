"""The queue against a reference in plain Python, whatever is done in whichever order.

MODEL_EXAMPLES and MODEL_STEPS make it longer: `MODEL_EXAMPLES=500 MODEL_STEPS=200 pytest …`.
`WALK_STEPS=20000 pytest -m soak tests/queue/test_model.py` is one queue that lives so long.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from app.queue.connection import connect
from tests.conftest import RedisServer
from tests.queue.conftest import FAKEREDIS, REDIS_7_0
from tests.queue.machine import QueueMachine
from tests.queue.pair import Pair
from tests.queue.walk import walk

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "60"))
STEPS = int(os.environ.get("MODEL_STEPS", "40"))
WALK_STEPS = int(os.environ.get("WALK_STEPS", "20000"))


@pytest.mark.timeout(60 + EXAMPLES * STEPS)
def test_the_queue_does_what_the_reference_does(client: redis.Redis) -> None:
    run(client, EXAMPLES, STEPS)


@pytest.mark.parametrize("server", [REDIS_7_0, FAKEREDIS])
def test_other_servers_do_what_the_reference_does(
    request: pytest.FixtureRequest, server: str
) -> None:
    client = request.getfixturevalue(server)
    run(client, 6, 30)
    for seed in range(100, 110):
        walk(Pair(client), random.Random(seed), steps=40)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_one_queue_does_what_the_reference_does_for_very_long(server: RedisServer) -> None:
    seed = int(os.environ.get("WALK_SEED") or random.randrange(10**6))
    print(f"WALK_SEED={seed} WALK_STEPS={WALK_STEPS}")
    # A disk that is busy with others may hold the server up for seconds.
    client = connect(server.url, name="tests", timeout_seconds=120)
    pair = Pair(client)
    walk(pair, random.Random(seed), WALK_STEPS)
    print(f"{pair.reference.last_id} jobs, {len(pair.leases)} leases")
    client.close()


def run(
    client: redis.Redis,
    examples: int,
    steps: int,
    machine: Callable[[redis.Redis], QueueMachine] = QueueMachine,
) -> None:
    in_ci = os.environ.get("CI") == "true"
    run_state_machine_as_test(
        lambda: machine(client),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=in_ci,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
