"""Shards are added to a store that is in use: no job is lost, none is there twice, ids rise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue import growth, sharded_submission
from app.queue import outcome as outcomes
from app.queue.connection import connect
from app.queue.errors import LayoutChanging, QueueUnavailable, ServerUnsuitable
from app.queue.growth import grow
from app.queue.job import Job
from app.queue.jobqueue import JobQueue
from app.queue.layout import Era, Layout, shard_of_key
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.submission import NewJob, Submitted, digest_of, pack
from tests.queue.sharded import check_shards, sharded
from tests.queue.test_sharded import claim_all
from tests.queue.virtual_time import Clock

Source = Callable[[str], str]
DAY_SECONDS = 86_400


@pytest.fixture(autouse=True)
def a_moment_of_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", 0.05)


def keys(some: range) -> list[NewJob]:
    return [NewJob("noop", idempotency_key=f"k{n}") for n in some]


def ids(queue: ShardedJobQueue, jobs: list[NewJob]) -> list[int]:
    return [answer.job_id for answer in queue.submit_many(jobs)]


@pytest.mark.parametrize(("before", "after"), [(1, 4), (2, 4), (1, 2), (3, 64)])
def test_what_was_there_stays_and_what_comes_is_above_it(
    store: redis.Redis, clock: Clock, source: Source, before: int, after: int
) -> None:
    queue, other = (sharded(store, before, source=source) for _ in range(2))
    known = ids(queue, keys(range(40)))

    grow(queue.shards, after)

    repeated, new = ids(other, keys(range(40))), ids(other, keys(range(40, 80)))
    assert repeated == known
    assert min(new) > max(known)
    assert len(set(new)) == 40
    assert [other.shards.layout.shard_of(i) for i in new] == [i % after for i in new]
    assert ids(queue, keys(range(80))) == known + new
    assert sorted(job.id for job in claim_all(queue)) == sorted(known + new)
    assert len(check_shards(store, queue)) == 80


def test_who_does_not_know_yet_learns_it_with_the_first_submission(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    told: list[int] = []
    queue, other = (sharded(store, source=source) for _ in range(2))
    other._on_change = lambda: told.append(other.shards.layout.shards)
    queue.submit("noop")

    grow(queue.shards, 4)

    assert other.submit("noop") > 4
    assert told == [4]


def test_a_worker_learns_it_with_its_next_turn_and_its_next_renewal(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue, working, idle = (sharded(store, source=source) for _ in range(3))
    queue.submit("noop")
    grow(queue.shards, 4)
    queue.submit_many(keys(range(20)))

    assert len(claim_all(working)) == 21
    idle.renew("w2", [], {})
    assert len(idle.parts()) == 4


def test_finished_jobs_are_trimmed_while_another_thread_hears_of_more_shards(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, other = (sharded(store, 2, source=source) for _ in range(2))
    ids(queue, keys(range(20)))
    for job in claim_all(queue):
        queue.complete(job)
    finished = JobQueue.finished

    def hears_of_more(part: JobQueue) -> int:
        if len(queue.parts()) == 2:
            grow(other.shards, 4)
            queue.follow(older_than_seconds=0)
        return finished(part)

    monkeypatch.setattr(JobQueue, "finished", hears_of_more)

    assert queue.trim(max_jobs=10) == 10
    assert len(queue.parts()) == 4


@pytest.mark.parametrize("home_is_away", [False, True])
def test_what_a_worker_holds_is_settled_where_it_was_found_even_if_that_is_news(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    home_is_away: bool,
) -> None:
    """From 2 to 3 shards the shards of new ids are others than the old layout would say."""
    queue, working = (sharded(store, 2, source=source) for _ in range(2))
    queue.submit("noop")
    grow(queue.shards, 3)
    for _ in range(12):
        queue.submit("noop")
    if home_is_away:

        def away() -> Layout:
            raise QueueUnavailable("gone")

        monkeypatch.setattr(working.shards.home, "layout", away)
    jobs: list[Job] = []
    for n in range(6):
        jobs += working.turn("w1", [], 1, first=n).jobs

    assert any(job.id > 2 and job.id % 3 != job.id % 2 for job in jobs)
    assert working.renew("w1", jobs, {}).lost == []
    for job in jobs:
        assert working.mark_sending(job) == "ok"
    verdicts = working.turn("w1", [outcomes.completed(job) for job in jobs], 0).verdicts
    assert set(verdicts) <= ({"ok", "away"} if home_is_away else {"ok"})


def test_a_child_process_marks_the_job_although_the_shards_are_news(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue, child = (sharded(store, 2, source=source) for _ in range(2))
    queue.submit("noop")
    grow(queue.shards, 3)
    for _ in range(6):
        queue.submit("noop")

    for job in claim_all(queue):
        assert child.mark_begun(job) == "ok"


def test_a_job_of_the_new_shards_is_found_by_who_does_not_know_them_yet(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue, other = (sharded(store, source=source) for _ in range(2))
    queue.submit("noop")
    grow(queue.shards, 4)
    new = [queue.submit("noop") for _ in range(4)]

    for job_id in new:
        assert other.cancel(job_id)


def test_a_key_is_known_for_a_day_whichever_shard_it_was_in(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue = sharded(store, source=source)
    known = ids(queue, keys(range(10)))
    clock.advance(seconds=3600)
    grow(queue.shards, 2)
    more = ids(queue, keys(range(10, 20)))
    clock.advance(seconds=3600)
    grow(queue.shards, 4)

    assert ids(queue, keys(range(20))) == known + more
    assert [era.shards for era in queue.shards.layout.eras] == [1, 2, 4]


def test_earlier_shards_are_asked_no_longer_than_a_day(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sharded(client)
    ids(queue, keys(range(4)))
    grow(queue.shards, 4)
    asked: list[int] = []
    home = queue.shards.home
    monkeypatch.setattr(home, "known_keys", lambda digests: asked.append(len(digests)) or set())

    queue.submit_many(keys(range(100, 120)))
    assert asked
    [first, second] = queue.shards.layout.eras
    old = Era(second.first_id, second.shards, second.since_ms - DAY_SECONDS * 1000)
    queue.shards._layout = Layout((first, old))
    asked.clear()
    queue.submit_many(keys(range(200, 220)))
    assert not asked


class StopsAfter:
    """Lets so many steps of beginning an era be made, then the one who makes them is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self._left = steps
        self._real = JobQueue.begin_era
        monkeypatch.setattr(JobQueue, "begin_era", lambda *a, **b: self._step(*a, **b))
        self._undo = monkeypatch.undo

    def _step(self, queue: JobQueue, *args: Any, **options: Any) -> str:
        if not self._left:
            raise QueueUnavailable("gone")
        self._left -= 1
        return self._real(queue, *args, **options)


@pytest.mark.parametrize("steps", range(1, 7))
def test_whoever_is_stopped_half_way_finishes_it_with_the_same_command(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    queue = sharded(store, 2, source=source)
    known = ids(queue, keys(range(20)))
    meanwhile = sharded(store, 2, source=source)
    with monkeypatch.context() as patched:
        StopsAfter(patched, steps)
        with pytest.raises(QueueUnavailable):
            grow(queue.shards, 4)

    refused = 0
    for job in keys(range(20, 40)):
        try:
            known += ids(meanwhile, [job])
        except LayoutChanging as error:
            refused += 1
            assert "flask queue shards" in str(error)
    # First the new shards are closed, then those that take jobs in.
    assert (refused > 0) == (steps >= 3)
    if steps >= 3:
        with pytest.raises(LayoutChanging):
            meanwhile.check_writable()

    grow(queue.shards, 4)

    jobs = keys(range(40))
    there = ids(meanwhile, jobs)
    assert set(known) <= set(there)
    assert len(set(there)) == 40
    assert there == ids(queue, jobs)
    check_shards(store, queue)


def half_grown(queue: ShardedJobQueue, monkeypatch: pytest.MonkeyPatch) -> list[NewJob]:
    """From 2 shards to 4, but home has not heard of it. Returns a job with a key of shard 0, which
    is home, and one with a key of shard 1."""
    with monkeypatch.context() as patched:
        StopsAfter(patched, 3)
        with pytest.raises(QueueUnavailable):
            grow(queue.shards, 4)
    by_shard = {shard_of_key(str(digest_of((job, pack(job)))), 2): job for job in keys(range(40))}
    return [by_shard[0], by_shard[1]]


def test_a_job_that_must_wait_for_shards_hides_no_id_of_the_others(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sharded(store, 2, source=source)
    known = queue.submit("noop")
    at_home, elsewhere = half_grown(queue, monkeypatch)

    answers = queue.submit_each([NewJob("noop"), elsewhere, NewJob("noop"), at_home])

    assert [type(answer) for answer in answers] == [Submitted, LayoutChanging, Submitted, Submitted]
    ids = {answer.job_id for answer in answers if isinstance(answer, Submitted)}
    stored = {int(id) for part in queue.parts() for id in store.hkeys(part.keys.jobs)}
    assert stored == ids | {known}
    with pytest.raises(LayoutChanging):
        queue.submit_each([elsewhere])


def test_a_shard_that_has_the_new_era_ends_no_round_of_the_others(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sharded(store, 2, source=source)
    at_home, elsewhere = half_grown(queue, monkeypatch)
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", -1)  # one round

    answers = queue.submit_each([elsewhere, at_home])

    assert [type(answer) for answer in answers] == [LayoutChanging, Submitted]


def test_home_that_goes_away_while_shards_are_added_hides_no_id(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sharded(store, 2, source=source)
    at_home, elsewhere = half_grown(queue, monkeypatch)

    def away() -> Layout:
        raise QueueUnavailable("gone")

    monkeypatch.setattr(queue.shards.home, "layout", away)

    answers = queue.submit_each([at_home, elsewhere])

    assert [type(answer) for answer in answers] == [Submitted, QueueUnavailable]


def test_ids_that_come_too_fast_push_the_era_further(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "MARGIN", 4)
    queue = sharded(store, source=source)
    real = JobQueue.begin_era

    def busy(part: JobQueue, era: Era, step: str, **options: Any) -> str:
        if part is queue.shards.home and era.first_id < 40:
            part.submit_many([NewJob("noop")] * 20)
        return real(part, era, step, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(JobQueue, "begin_era", busy)
    queue.submit("noop")

    grow(queue.shards, 4)

    assert queue.shards.layout.era.first_id >= 40
    assert queue.submit("noop") > 40
    assert len(check_shards(store, queue)) == 22


def test_two_who_add_shards_at_once_do_no_harm(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, other = (sharded(store, source=source) for _ in range(2))
    queue.submit("noop")
    real = JobQueue.begin_era
    met: list[int] = []

    def overtaken(part: JobQueue, era: Era, step: str, **options: Any) -> str:
        if era.shards == 4 and not met:
            met.append(1)
            grow(other.shards, 8)
        return real(part, era, step, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(JobQueue, "begin_era", overtaken)
    with pytest.raises(ServerUnsuitable, match="8 shards"):
        grow(queue.shards, 4)

    assert len({other.submit("noop") % 8 for _ in range(8)}) == 8
    check_shards(store, other)


def test_a_paused_queue_is_paused_in_its_new_shards(
    store: redis.Redis, clock: Clock, source: Source
) -> None:
    queue, other = (sharded(store, 2, source=source) for _ in range(2))
    queue.pause()

    grow(queue.shards, 4)

    known = ids(other, keys(range(40)))
    assert claim_all(other) == []
    assert other.resume()
    assert sorted(job.id for job in claim_all(other)) == sorted(known)


@pytest.mark.parametrize("pauses", [True, False])
@pytest.mark.parametrize("step", range(7))
def test_who_pauses_or_resumes_while_shards_are_added_does_so_in_all_of_them(
    store: redis.Redis,
    clock: Clock,
    source: Source,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    pauses: bool,
) -> None:
    queue, other = (sharded(store, 2, source=source) for _ in range(2))
    queue.submit("noop")
    if not pauses:
        queue.pause()
    real = JobQueue.begin_era
    steps: list[str] = []

    def meanwhile(part: JobQueue, era: Era, name: str, **options: Any) -> str:
        if len(steps) == step:
            assert other.pause() if pauses else other.resume()
        steps.append(name)
        return real(part, era, name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(JobQueue, "begin_era", meanwhile)
    grow(queue.shards, 4)

    assert len(steps) == 7
    assert [part.shard_facts().paused for part in queue.parts()] == [pauses] * 4


def test_a_growth_that_was_interrupted_takes_its_pause_back_when_it_is_finished(
    store: redis.Redis, clock: Clock, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, other = (sharded(store, 2, source=source) for _ in range(2))
    queue.submit("noop")
    queue.pause()
    with monkeypatch.context() as patched:
        StopsAfter(patched, 4)
        with pytest.raises(QueueUnavailable):
            grow(queue.shards, 4)
    other.shards.home.resume()  # and the shards that nobody opened yet are away

    grow(queue.shards, 4)

    assert not any(part.shard_facts().paused for part in queue.parts())


def test_jobs_are_submitted_by_many_while_shards_are_added(client: redis.Redis) -> None:
    """With the patience that it really has."""
    queue = sharded(client)
    queue.submit("noop")
    known: dict[str, int] = {}
    wrong: list[object] = []
    stop = threading.Event()

    def submit(name: str) -> None:
        own = sharded(client)
        count = 0
        while not stop.is_set():
            key = f"{name}-{count}"
            job = [NewJob("noop", idempotency_key=key), NewJob("noop")]
            try:
                [answer, _] = own.submit_many(job)
                known[key] = answer.job_id
                [again, _] = own.submit_many(job)
            except LayoutChanging:
                continue  # it may come again
            if again.job_id != answer.job_id:
                wrong.append((key, answer, again))
            count += 1

    threads = [threading.Thread(target=submit, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for shards in (2, 3, 8):
            reached = len(known) + 50
            while len(known) < reached and all(thread.is_alive() for thread in threads):
                pass
            grow(queue.shards, shards)
        reached = len(known) + 50
        while len(known) < reached and all(thread.is_alive() for thread in threads):
            pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)

    assert not wrong
    records = check_shards(client, queue)
    assert set(known.values()) <= records.keys()
    assert len(set(known.values())) == len(known)
    checked = sharded(client, 8)
    for key, job_id in list(known.items())[::7]:
        assert checked.submit("noop", idempotency_key=key) == job_id


def test_a_key_whose_earlier_shard_is_away_waits_for_it(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sharded(client, 2)
    known = ids(queue, keys(range(40)))
    grow(queue.shards, 3)

    def away(_digests: object) -> set[str]:
        raise QueueUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(queue.shards.queue(1), "known_keys", away)
        answers = queue.submit_each([*keys(range(40)), NewJob("noop")])

    refused = [n for n, answer in enumerate(answers) if isinstance(answer, QueueUnavailable)]
    assert 0 < len(refused) < 40
    for n, answer in enumerate(answers[:40]):
        if not isinstance(answer, QueueUnavailable):
            assert answer.job_id == known[n]
    queue.shards._away_until.clear()
    assert ids(queue, keys(range(40))) == known


def test_a_shard_that_is_away_lets_nobody_add_shards(client: redis.Redis, closed_port: int) -> None:
    gone = connect(f"redis://127.0.0.1:{closed_port}", name="tests")
    queue = sharded(client, clients={3: gone})
    queue.submit("noop")

    with pytest.raises(QueueUnavailable):
        grow(queue.shards, 4)

    assert queue.submit("noop") == 2


def test_the_shard_of_a_key_is_that_of_its_digest() -> None:
    [job] = keys(range(1))
    digest = digest_of((job, pack(job)))

    assert shard_of_key(digest, 4) == int(digest, 16) % 4
