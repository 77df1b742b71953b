"""The shards of one store, as a process knows them: the layout, a queue for each, who is away."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress

from app.queue.errors import LayoutChanging, NotReplicated, QueueFull, QueueUnavailable
from app.queue.jobqueue import JobQueue
from app.queue.layout import Era, Layout

# A shard that was away is passed over for so long, or, where it took long to notice, for so many
# times as long: one that hangs must not hold up the others.
AWAY_SECONDS = 2.0
AWAY_TIMES = 5.0


class Shards:
    """`open_shard` makes the queue of one shard, by its number; it need not connect. `wanted` is
    how many shards the settings ask for. Any number of threads may use this."""

    def __init__(
        self,
        open_shard: Callable[[int], JobQueue],
        wanted: int = 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wanted = wanted
        self._open_shard = open_shard
        self._monotonic = monotonic
        self._queues = [open_shard(0)]
        self._layout: Layout | None = None
        self._server_ms = 0.0  # when the layout was read, by home's clock
        self._read_at = 0.0  # and by ours
        self._found_at: dict[int, int] = {}  # jobs of shards that the layout does not know of
        self._away_until: dict[int, float] = {}
        self._turns = itertools.count()
        self._lock = threading.Lock()

    @property
    def home(self) -> JobQueue:
        return self._queues[0]

    @property
    def layout(self) -> Layout:
        """As it was last read. Raises QueueUnavailable when it never was, and home is away."""
        if self._layout is None:
            self.refresh()
        assert self._layout is not None
        return self._layout

    @property
    def expected(self) -> Layout:
        """As far as is known; before the store was asked, what the settings want."""
        return self._layout or Layout((Era(0, self.wanted),))

    def is_known_since(self, seconds: float) -> bool:
        """Whether the layout was read within so long."""
        return self._layout is not None and self._monotonic() - self._read_at < seconds

    def refresh(self, older_than_seconds: float = 0.0) -> bool:
        """Reads the layout anew, where what is known is older. True: it has changed.

        Raises QueueUnavailable.
        """
        if self.is_known_since(older_than_seconds):
            return False
        layout = self.home.layout()
        if len(layout.eras) > 1:
            self._server_ms = self.home.now() * 1000
        self._read_at = self._monotonic()
        changed = layout != self._layout
        self.opened(layout.shards)
        self._layout = layout
        if changed:
            self._found_at.clear()
        return changed

    def opened(self, count: int) -> list[JobQueue]:
        """The queues of the first so many shards, whatever the layout says."""
        with self._lock:
            while len(self._queues) < count:
                self._queues.append(self._open_shard(len(self._queues)))
        return self._queues[:count]

    @property
    def all(self) -> list[JobQueue]:
        return self._queues[: self.layout.shards]

    def queue(self, number: int) -> JobQueue:
        return self._queues[number]

    def number_of(self, job_id: int) -> int:
        """The number of the shard that has this job."""
        known = self._found_at.get(job_id) if self._found_at else None
        return self.layout.shard_of(job_id) if known is None else known

    def of_job(self, job_id: int) -> JobQueue:
        return self._queues[self.number_of(job_id)]

    def found(self, job_ids: Sequence[int], number: int) -> None:
        """These jobs are there. Where the layout says something else, it is out of date."""
        astray = [job_id for job_id in job_ids if self.number_of(job_id) != number]
        if astray:
            self._found_at.update(dict.fromkeys(astray, number))
            with suppress(QueueUnavailable):  # until then what was found holds
                self.refresh()

    def now_ms(self) -> float:
        """Home's time, as far as is known; it is not asked."""
        return self._server_ms + (self._monotonic() - self._read_at) * 1000

    # ── Who is away ─────────────────────────────────────────────────────────────────────────

    def serves(self, number: int) -> bool:
        """False: it was away moments ago."""
        until = self._away_until.get(number)
        return until is None or self._monotonic() >= until

    @contextmanager
    def asking(self, number: int) -> Iterator[JobQueue]:
        """Its queue; remembers how that went. One of several that was away moments ago is not
        asked: QueueUnavailable."""
        began = self._monotonic()
        if not self.serves(number) and self.layout.shards > 1:
            raise QueueUnavailable(f"Shard {number} was away moments ago.")
        try:
            yield self._queues[number]
        except (QueueFull, NotReplicated, LayoutChanging):
            raise  # it is there
        except QueueUnavailable:
            now = self._monotonic()
            self._away_until[number] = now + max(AWAY_SECONDS, AWAY_TIMES * (now - began))
            raise
        else:
            self._away_until.pop(number, None)

    def next_serving(self, but: Container[int] = ()) -> int:
        """Each in its turn, but for these and those that are away, while another is there."""
        count = self.layout.shards
        start = next(self._turns)
        numbers = [(start + i) % count for i in range(count)]
        good = (n for n in numbers if n not in but and self.serves(n))
        return next(good, numbers[0])
