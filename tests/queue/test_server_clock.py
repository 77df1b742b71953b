"""The time as the server has it."""

from __future__ import annotations

import pytest

from app.queue.errors import QueueUnavailable
from app.queue.server_clock import ASK_EVERY_SECONDS, ServerClock


class World:
    """A server whose clock is an hour before this machine's."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.offset = -3600.0
        self.asked = 0
        self.away = False
        self.clock = ServerClock(self.ask, monotonic=lambda: 50 + self.passed, own=self.own)

    def own(self) -> float:
        return 1_800_000_000 + self.passed

    def ask(self) -> float:
        self.asked += 1
        if self.away:
            raise QueueUnavailable("away")
        return self.own() + self.offset


@pytest.fixture
def world() -> World:
    return World()


def test_it_is_the_server_s_time_asked_seldom(world: World) -> None:
    assert world.clock.now() == world.own() - 3600
    world.passed = ASK_EVERY_SECONDS - 1
    assert world.clock.now() == world.own() - 3600
    assert world.asked == 1
    world.passed, world.offset = ASK_EVERY_SECONDS, 5.0
    assert world.clock.now() == world.own() + 5
    assert world.asked == 2


def test_who_asks_while_the_server_is_away_hears_of_it(world: World) -> None:
    world.away = True
    with pytest.raises(QueueUnavailable):
        world.clock.now()
    world.away = False
    assert world.clock.now() == world.own() - 3600


def test_those_in_a_hurry_get_the_last_known_time_and_ask_nobody(world: World) -> None:
    assert world.clock.last_known() == world.own()
    world.clock.now()
    world.passed, world.away = 10 * ASK_EVERY_SECONDS, True
    assert world.clock.last_known() == world.own() - 3600
    assert world.clock.moment(50) == 1_800_000_000 - 3600
    assert world.asked == 1
