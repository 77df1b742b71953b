"""Waits for a wake-up marker in Redis, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial

import redis

from app.queue.connection import connect, unavailable_as_queue_error
from app.queue.errors import QueueError, QueueUnavailable
from app.queue.jobqueue import JobQueue
from app.queue.keys import Keys
from app.queue.sharded_jobqueue import ShardedJobQueue
from workers.bell import Bell

log = logging.getLogger(__name__)

# Together the longest that this thread can hang on a server that says nothing any more.
BLOCK_SECONDS = 5
ANSWER_WITHIN_SECONDS = 4
RETRY_SECONDS = (0.1, 5.0)


class Watches:
    """A watch for each shard of the queue, on the key that `key_of` names: as one `WakeWatch`."""

    def __init__(
        self,
        queue: ShardedJobQueue,
        url: str,
        name: str,
        key_of: Callable[[Keys], str],
        bell: Bell,
    ) -> None:
        self._queue = queue
        self._watch = partial(WakeWatch, url=url, name=name, bell=bell)
        self._key_of = key_of
        self._watches: list[WakeWatch] = []
        self._taken: list[int] = []

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()

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
    """Rings the bell when the marker in `key` appears while armed.

    A marker that comes when nobody needs it any more is put back: it may be another worker's.
    """

    def __init__(self, queue: JobQueue, url: str, name: str, key: str, bell: Bell) -> None:
        self._queue = queue
        self._client: redis.Redis = connect(
            url,
            name=f"{name}-wake",
            timeout_seconds=BLOCK_SECONDS + ANSWER_WITHIN_SECONDS,
            resend=False,
            slot_key=key,
        )
        self._key = key
        self._bell = bell
        self._armed = threading.Event()
        self._took = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._armed.set()

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

    def _run(self) -> None:
        delay = RETRY_SECONDS[0]
        while not self._stopping.is_set():
            self._armed.wait()
            try:
                self._wait_for_marker()
                delay = RETRY_SECONDS[0]
            except QueueError as error:
                log.debug("No marker: %s", error)
                if not isinstance(error, QueueUnavailable):
                    self._bell.ring()  # the main thread runs into it as well, and says so
                self._stopping.wait(delay)
                delay = min(delay * 2, RETRY_SECONDS[1])

    def _wait_for_marker(self) -> None:
        with unavailable_as_queue_error():
            marker = self._client.bzpopmin(self._key, timeout=BLOCK_SECONDS)
        if not marker:
            return
        if self._armed.is_set() and not self._stopping.is_set():
            self._armed.clear()
            self._took = True
            self._bell.ring()
        else:
            self.put_back()
