"""Waits for the wake-up marker, and claims in the same breath."""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import NoScriptError

from app.queue.answers import Turn
from app.queue.connection import unavailable_as_queue_error
from app.queue.errors import QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue, new_nonce
from app.queue.line import Line


class MarkerWait:
    """One connection to one shard, for one thread that blocks on `key`. `close` may come from any
    thread, and ends a wait with QueueUnavailable.

    `client` must not send a command twice by itself, and must bear `block_seconds` of silence.
    """

    def __init__(
        self, queue: JobQueue, client: redis.Redis, key: str, *, block_seconds: float
    ) -> None:
        self._queue = queue
        self._line = Line(client)
        self._block = ("BZPOPMIN", key, block_seconds)
        self._unanswered = ""  # the nonce of a claim

    def marker(self) -> bool:
        """Whether a marker was taken. Raises QueueUnavailable, ServerUnsuitable."""
        return self._ask(self._block)[0] is not None

    def claim(self, worker: str) -> Turn:
        """Claims one job as soon as a marker is there, or when the time is over.

        The claim is sent together with the command that waits, and the server, which leaves it
        unread while that one blocks, runs it in the same moment: an idle worker hears of a job and
        has it in one answer. Not more than one: a worker that was frozen meanwhile, or cut off,
        gets it all the same, and keeps it until the lease runs out. A claim whose answer was lost
        is made again with its nonce, so that it gives the same job. Raises QueueUnavailable,
        ServerUnsuitable.
        """
        if self._unanswered:
            turn = self._claim(worker)
        else:
            self._unanswered = new_nonce()
            claim = self._queue.turn_command(worker, (), 1, nonce=self._unanswered)
            answer = self._ask(self._block, claim)[1]
            turn = self._claim(worker) if answer is None else self._queue.turn_of(answer)
        self._unanswered = ""
        return turn

    def unheard(self, worker: str) -> list[Job]:
        """After `close`: the job of a claim that was under way, if it was made."""
        if not self._unanswered:
            return []
        jobs = self._queue.claimed(worker, self._unanswered)
        self._unanswered = ""
        return jobs

    def close(self) -> None:
        self._line.close()

    def _claim(self, worker: str) -> Turn:
        return self._queue.turn(worker, (), 1, nonce=self._unanswered)

    def _ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The answers to commands that are sent in one packet; None for a script that the server
        does not know."""
        with unavailable_as_queue_error():
            try:
                self._line.send(*commands)
                return [self._receive() for _ in commands]
            except BaseException as error:
                self._line.cut()
                if self._line.closed:
                    raise QueueUnavailable("Waiting was ended.") from error
                raise

    def _receive(self) -> Any:
        try:
            return self._line.receive()
        except NoScriptError:
            return None
