"""Adding shards is interrupted, overtaken, forgotten: ids keep their jobs, and nothing is stuck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue import growth, sharded_submission
from app.queue.errors import LayoutChanging, NotReplicated, QueueUnavailable, ServerUnsuitable
from app.queue.growth import grow
from app.queue.jobqueue import JobQueue
from app.queue.layout import Era
from app.queue.submission import NewJob
from tests.queue.sharded import check_shards, sharded
from tests.queue.test_growth import StopsAfter, ids, keys
from tests.queue.virtual_time import Clock

Source = Callable[[str], str]


@pytest.fixture(autouse=True)
def a_moment_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", 0.05)


def grow_so_far(patch: pytest.MonkeyPatch, queue: Any, shards: int, steps: int) -> None:
    """Adds shards, and is gone after so many steps."""
    with patch.context() as patched:
        StopsAfter(patched, steps)
        with pytest.raises(QueueUnavailable):
            grow(queue.shards, shards)


# ── Somebody else ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slower", [8, 4, 16])
def test_of_two_who_start_on_an_empty_store_the_slower_one_gives_way(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    slower: int,
) -> None:
    faster: list[Any] = []
    steps: list[None] = []

    def after_the_first_look(real: Callable[..., Any]) -> Callable[..., Any]:
        """When the slower one has seen that the store is empty, the faster one begins."""

        def step(*args: Any, **options: Any) -> Any:
            steps.append(None)
            if len(steps) == 2:
                faster.append(sharded(store, 8, source=source))
                ids(faster[0], [NewJob("noop")] * 3)
            return real(*args, **options)

        return step

    for name in ("shard_facts", "begin_era"):
        monkeypatch.setattr(JobQueue, name, after_the_first_look(getattr(JobQueue, name)))
    if slower == 8:
        ids(sharded(store, slower, source=source), keys(range(16)))
    else:
        with pytest.raises(ServerUnsuitable, match="has 8 shards"):
            sharded(store, slower, source=source)

    assert len(set(ids(faster[0], keys(range(40))))) == 40
    faster[0].check_writable()
    grow(faster[0].shards, 16)
    check_shards(store, faster[0])


def test_a_shard_never_goes_back_to_an_earlier_era_whoever_comes_late(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue = sharded(store, 2, source=source)
    queue.submit("noop")
    earlier = queue.shards.layout.era
    grow(queue.shards, 3)
    later = queue.shards.layout.era
    home, shard, _ = queue.parts()

    for era in (earlier, Era(later.first_id, 2)):
        for step in ("close", "open"):
            assert shard.begin_era(era, step) == f"era {later.mark}"  # type: ignore[arg-type]
    assert home.begin_era(earlier, "publish", earlier="0:1:0") == f"era {later.mark}"
    assert shard.begin_era(later, "close") == "ok"

    assert shard.shard_facts().era == later.mark
    assert queue.shards.home.layout() == queue.shards.layout


# ── Interrupted ─────────────────────────────────────────────────────────────────────────────────


def test_a_growth_to_too_many_shards_that_was_interrupted_is_no_bar_to_fewer(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = sharded(store, 2, source=source)
    known = ids(queue, keys(range(20)))
    grow_so_far(monkeypatch, queue, 64, steps=63)
    with pytest.raises(LayoutChanging):
        queue.check_writable()

    for number in (2, 6, 32, 40):
        grow(queue.shards, number)
        queue.check_writable()
        assert queue.shards.layout.shards == number
        assert queue.submit("noop") > max(known)

    assert ids(queue, keys(range(20))) == known
    grow(queue.shards, 64)
    check_shards(store, queue)


def test_what_an_earlier_version_left_unfinished_is_no_bar_either(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    """It opened shards before home had the era."""
    queue = sharded(store, 2, source=source)
    known = ids(queue, keys(range(20)))
    for number in (*range(30, 64), 1):
        store.hset(f"{{mr{number}}}Meta", "era", "10048:64")

    for wanted in (2, 32, 40):
        grow(queue.shards, wanted)
        queue.check_writable()
        assert queue.shards.layout.shards == wanted

    assert ids(queue, keys(range(20))) == known
    assert queue.submit("noop") > 10048


def test_a_start_opens_what_home_has_published(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = sharded(store, 2, source=source)
    queue.submit("noop")
    grow_so_far(monkeypatch, queue, 4, steps=4)

    started = sharded(store, 2, source=source)

    started.check_writable()
    assert {queue.submit("noop") % 4 for _ in range(4)} == {0, 1, 2, 3}


# ── Forgotten, as home failed over ──────────────────────────────────────────────────────────────


class Heir:
    """Of home's server: has what home had when it fell behind."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._known = {name: store.dump(name) for name in self._names()}

    def take_over(self) -> None:
        self._store.delete(*self._names())
        for name, dumped in self._known.items():
            self._store.restore(name, 0, dumped)

    def _names(self) -> list[str]:
        return [name for name in self._store.scan_iter(count=1000) if "{mr" not in name]


@pytest.mark.parametrize("before", [1, 2])
def test_no_id_is_given_in_an_era_that_home_s_replicas_may_not_have(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
) -> None:
    queue, other = (sharded(store, before, source=source) for _ in range(2))
    known = ids(queue, keys(range(20)))
    heir = Heir(store)
    real = JobQueue.begin_era

    def unconfirmed(part: JobQueue, era: Era, step: str, **options: Any) -> str:
        answer = real(part, era, step, **options)  # type: ignore[arg-type]
        if part is queue.shards.home:
            raise NotReplicated
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(JobQueue, "begin_era", unconfirmed)
        for _ in range(2):  # again, it is not confirmed by being there
            with pytest.raises(NotReplicated):
                grow(queue.shards, 4)
    for job in keys(range(20, 60)):
        try:
            [answer] = other.submit_many([job])
        except LayoutChanging:
            continue
        assert answer.job_id % 4 == 0  # home's: who confirms the job has the layout as well
    heir.take_over()

    grow(queue.shards, 4)

    new = ids(other, keys(range(100, 140)))
    assert ids(queue, keys(range(20))) == known
    assert len({*known, *new}) == 60
    check_shards(store, queue)


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("wanted", [4, 6])
def test_an_era_that_home_forgot_after_ids_were_given_in_it_is_published_again(
    store: redis.Redis, clock: Clock, source: Source, before: int, wanted: int
) -> None:
    queue = sharded(store, before, source=source)
    known = ids(queue, keys(range(20)))
    heir = Heir(store)
    grow(queue.shards, 4)
    given = [job_id for job_id in ids(queue, keys(range(20, 60))) if job_id % 4]
    heir.take_over()
    queue = sharded(store, before, source=source)
    during = [queue.submit("noop") for _ in range(2)] if before == 1 else []

    grow(queue.shards, wanted)

    for job_id in given:
        assert queue.shards.of_job(job_id).cancel(job_id)
    assert queue.shards.layout.shards == wanted
    assert set(given) & {*ids(queue, keys(range(20, 60)))} == set(given)
    assert not set(given) & {*known, *during}
    queue.check_writable()


def test_an_era_that_home_forgot_and_overtook_does_not_come_back(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "MARGIN", 4)
    queue = sharded(store, source=source)
    queue.submit("noop")
    heir = Heir(store)
    grow(queue.shards, 4)
    given = [job_id for job_id in (queue.submit("noop") for _ in range(8)) if job_id % 4]
    heir.take_over()
    queue = sharded(store, source=source)
    for _ in range(20):
        queue.submit("noop")

    grow(queue.shards, 4)

    assert queue.shards.layout.era.first_id > max(given)
    assert queue.submit("noop") > max(given)
    queue.check_writable()
