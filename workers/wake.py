"""Waits for a wake-up marker in Redis, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import redis

from app.queue.answers import Turn
from app.queue.connection import connect
from app.queue.errors import QueueError, QueueUnavailable
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.waiting import MarkerWait
from workers.bell import Bell

log = logging.getLogger(__name__)

# Together the longest that this thread can hang on a server that says nothing any more. An idle
# worker sends two commands in the first of them.
BLOCK_SECONDS = 8
ANSWER_WITHIN_SECONDS = 4
RETRY_SECONDS = (0.1, 1.0)
END_SECONDS = 1.0


# Waits for work in the thread that calls it, until it has claimed some, or is not to go on (None).
Waiting = Callable[[], "list[Job] | None"]


@dataclass(frozen=True, slots=True)
class Claims:
    """Lets the thread that waits claim by itself and run the job, which saves that a round trip
    and two hand-overs.

    `wanted` says whether there is a slot for it; `claimed` gets what was claimed and when it was
    asked for, on the monotonic clock. `give_up`: it can't claim any more. `start` and `pass_on`
    have another thread wait (`Crew.start_waiting`, `wait_on`).
    """

    worker: str
    wanted: Callable[[], bool]
    claimed: Callable[[Turn, float], None]
    give_up: Callable[[], None]
    start: Callable[[Waiting], None]
    pass_on: Callable[[Waiting], None]


class Watches:
    """A watch for each shard of the queue, on the key that `key_of` names: as one `WakeWatch`."""

    def __init__(
        self,
        queue: ShardedJobQueue,
        url: str,
        name: str,
        key_of: Callable[[Keys], str],
        bell: Bell,
        claims: Claims | None = None,
    ) -> None:
        self._queue = queue
        self._watch = partial(WakeWatch, url=url, name=name, bell=bell, claims=claims)
        self._key_of = key_of
        self._watches: list[WakeWatch] = []
        self._taken: list[int] = []

    def stop(self) -> list[Job]:
        """Returns the jobs of a claim that was under way. Raises QueueUnavailable."""
        for watch in self._watches:
            watch.begin_to_stop()
        return [job for watch in self._watches for job in watch.stop()]

    def arm(self) -> None:
        """From now on a marker is wanted, of shards that were added meanwhile as well. Raises
        QueueUnavailable when nothing is known of the shards, and home is away."""
        for part in self._queue.parts()[len(self._watches) :]:
            watch = self._watch(part, key=self._key_of(part.keys))
            self._watches.append(watch)
            watch.start()
        for watch in self._watches:
            watch.arm()

    def disarm(self) -> None:
        for watch in self._watches:
            watch.disarm()

    def took(self) -> list[int]:
        """The numbers of the shards whose marker was taken since the last call."""
        self._taken = [at for at, watch in enumerate(self._watches) if watch.took()]
        return self._taken

    def put_back(self, *, but: int | None = None) -> None:
        """Those that were taken; `but` the one that is used."""
        for at in self._taken:
            if at != but:
                self._watches[at].put_back()


class WakeWatch:
    """Waits for the marker in `key` while armed. Then it claims a job if that is wanted of it, and
    goes on as long as it is; else it rings the bell.

    A marker that comes when nobody needs it any more is put back: it may be another worker's.
    """

    def __init__(
        self, queue: JobQueue, url: str, name: str, key: str, bell: Bell, claims: Claims | None
    ) -> None:
        self._queue = queue
        client: redis.Redis = connect(
            url,
            name=f"{name}-wake",
            timeout_seconds=BLOCK_SECONDS + ANSWER_WITHIN_SECONDS,
            resend=False,
            slot_key=key,
        )
        self._wait = MarkerWait(queue, client, key, block_seconds=BLOCK_SECONDS)
        self._key = key
        self._bell = bell
        self._claims = claims
        self._armed = threading.Event()
        self._took = False
        self._stopping = threading.Event()
        self._waits = threading.Lock()  # held by the thread that does

    def start(self) -> None:
        if self._claims:
            self._claims.start(self._run)
        else:
            threading.Thread(target=self._run, name="wake", daemon=True).start()

    def begin_to_stop(self) -> None:
        self._stopping.set()
        self._armed.set()
        self._wait.close()

    def stop(self) -> list[Job]:
        """As that of `Watches`."""
        if self._waits.acquire(timeout=END_SECONDS):
            self._waits.release()
        return self._wait.unheard(self._claims.worker) if self._claims else []

    def arm(self) -> None:
        """From now on a marker is wanted."""
        self._armed.set()

    def disarm(self) -> None:
        """There is no room for more work."""
        self._armed.clear()

    def took(self) -> bool:
        """Whether a marker was taken since the last call."""
        took, self._took = self._took, False
        return took

    def put_back(self) -> None:
        with contextlib.suppress(QueueUnavailable):  # the heartbeats find waiting work, too
            self._queue.wake(self._key)

    def _run(self) -> list[Job] | None:
        """Waits in this thread until it has claimed something, which is left to it while another
        goes on; None when it is over."""
        with self._waits:
            delay = RETRY_SECONDS[0]
            while not self._stopping.is_set():
                self._armed.wait()
                try:
                    if self._claims and self._claims.wanted():
                        if jobs := self._wait_for_jobs(self._claims):
                            return jobs
                    else:
                        self._wait_for_marker()
                except QueueError as error:
                    log.debug("No marker: %s", error)
                    if not isinstance(error, QueueUnavailable):
                        # It runs into that as well, and says so.
                        self._leave_it_to_the_main_thread()
                except Exception:  # no fault that is known; somebody must wait
                    log.exception("Waiting for a marker failed")
                    self._leave_it_to_the_main_thread()
                else:
                    delay = RETRY_SECONDS[0]
                    continue
                self._stopping.wait(delay)
                delay = min(delay * 2, RETRY_SECONDS[1])
        return None

    def _leave_it_to_the_main_thread(self) -> None:
        if self._claims:
            self._claims.give_up()
        self._bell.ring()

    def _wait_for_jobs(self, claims: Claims) -> list[Job]:
        asked_at = time.monotonic()
        turn = self._wait.claim(claims.worker)
        claims.claimed(turn, asked_at)
        self._armed.clear()
        if claims.wanted():  # asked afterwards: who wants more arms the watch after having said so
            self._armed.set()
        if turn.jobs:
            claims.pass_on(self._run)
        return turn.jobs

    def _wait_for_marker(self) -> None:
        if not self._wait.marker():
            return
        if self._armed.is_set() and not self._stopping.is_set():
            self._armed.clear()
            self._took = True
            self._bell.ring()
        else:
            self.put_back()
