"""Several actors, one step at a time, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest


class Killed(BaseException):
    """The process of an actor is gone: nothing of it is cleaned up."""


class Baton:
    """Threads of which one runs at a time; at each `step` another may go on in its place."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._arrived = threading.Semaphore(0)
        self._go = threading.local()
        self._waiting: list[threading.Semaphore] = []
        self._errors: list[BaseException] = []

    def run(self, actors: Sequence[Callable[[], object]], lives: Sequence[int]) -> None:
        """Until all ended; each is killed after so many steps. Raises what one of them did."""
        pairs = zip(actors, lives, strict=True)
        threads = [threading.Thread(target=self._act, args=pair, daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
            self._arrived.acquire()
        while self._waiting:
            at = self._chance.randrange(len(self._waiting))
            self._waiting.pop(at).release()
            self._arrived.acquire()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def step(self) -> None:
        """Outside of `run` nothing."""
        go = getattr(self._go, "semaphore", None)
        if go is None:
            return
        if not self._go.left:
            raise Killed
        self._go.left -= 1
        self._waiting.append(go)
        self._arrived.release()
        go.acquire()

    def at_each(self, patch: pytest.MonkeyPatch, owner: type, *names: str) -> None:
        """Makes a step of every call of these methods."""
        for name in names:
            patch.setattr(owner, name, self._stepping(getattr(owner, name)))

    def _stepping(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            self.step()
            return real(*args, **options)

        return stepping

    def _act(self, actor: Callable[[], object], life: int) -> None:
        self._go.semaphore, self._go.left = threading.Semaphore(0), life
        try:
            self.step()
            actor()
        except Killed:
            pass
        except BaseException as error:
            self._errors.append(error)
        self._arrived.release()
