"""The verbs over four shards: each job's at its own, and the ids tell which that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from app.queue import outcome as outcomes
from app.queue.errors import (
    IdempotencyConflict,
    JobNotFound,
    LayoutChanging,
    LeaseLost,
    QueueFull,
    QueueUnavailable,
    ServerUnsuitable,
    WrongStatus,
)
from app.queue.growth import grow
from app.queue.job import Job
from app.queue.jobqueue import SUBMIT_MAX, JobQueue, new_nonce
from app.queue.sharded_jobqueue import ShardedJobQueue, shares
from app.queue.submission import NewJob, Submitted
from tests.queue.sharded import check_shards, sharded
from tests.queue.virtual_time import Clock

SHARDS = 4


@pytest.fixture
def queue(
    store: redis.Redis, clock: Clock, source: Callable[[str], str]
) -> Iterator[ShardedJobQueue]:
    queue = sharded(store, SHARDS, source=source)
    yield queue
    check_shards(store, queue)


def ids_of(answers: list[Submitted | IdempotencyConflict]) -> list[int]:
    return [answer.job_id for answer in answers]


def claim_all(queue: ShardedJobQueue, at_once: int = 100) -> list[Job]:
    jobs: list[Job] = []
    while some := queue.claim("w1", at_once):
        jobs += some
    return jobs


def test_an_id_tells_its_shard(queue: ShardedJobQueue, store: redis.Redis) -> None:
    ids = [queue.submit("noop") for _ in range(8)]

    assert sorted(ids) == [4, 5, 6, 7, 8, 9, 10, 11]
    assert [store.hlen(part.keys.jobs) for part in queue.parts()] == [2, 2, 2, 2]


def test_a_batch_without_keys_goes_to_one_shard_in_order(queue: ShardedJobQueue) -> None:
    ids = ids_of(queue.submit_many([NewJob("noop")] * 10))

    assert len({job_id % SHARDS for job_id in ids}) == 1
    assert ids == list(range(ids[0], ids[0] + 10 * SHARDS, SHARDS))


def test_a_large_batch_is_spread(queue: ShardedJobQueue) -> None:
    ids = ids_of(queue.submit_many([NewJob("noop")] * (2 * SUBMIT_MAX)))

    assert len(set(ids)) == 2 * SUBMIT_MAX
    assert len({job_id % SHARDS for job_id in ids}) == 2


def test_a_key_means_one_job(queue: ShardedJobQueue) -> None:
    first = [queue.submit("noop", idempotency_key=f"k{n}") for n in range(20)]
    mixed = [NewJob("noop", idempotency_key=f"k{n}" if n % 2 else None) for n in range(20)]

    again = ids_of(queue.submit_many(mixed))

    assert again[1::2] == first[1::2]
    assert not set(again[::2]) & set(first)
    with pytest.raises(IdempotencyConflict):
        queue.submit("noop", '{"other": 1}', idempotency_key="k3")


def test_a_job_is_acted_on_at_its_shard(queue: ShardedJobQueue) -> None:
    ids = [queue.submit("noop") for _ in range(SHARDS)]
    for job_id in ids:
        assert queue.cancel(job_id)
        with pytest.raises(WrongStatus):
            queue.cancel(job_id)
        queue.retry(job_id)
        queue.delete(job_id)
        with pytest.raises(JobNotFound):
            queue.delete(job_id)


def test_every_job_is_claimed_and_settled(queue: ShardedJobQueue, store: redis.Redis) -> None:
    ids = [queue.submit("noop") for _ in range(30)]

    jobs = claim_all(queue, 7)
    turn = queue.turn("w1", [outcomes.completed(job) for job in jobs], 0)

    assert sorted(job.id for job in jobs) == sorted(ids)
    assert turn.verdicts == ["ok"] * 30
    assert queue.finished() == 30
    with pytest.raises(LeaseLost):
        queue.complete(Job.from_record(store.hget(queue.parts()[0].keys.jobs, "4"), "{}"))


def test_a_turn_that_is_sent_again_answers_the_same(queue: ShardedJobQueue) -> None:
    for _ in range(12):
        queue.submit("noop")
    nonce = new_nonce()

    first = queue.turn("w1", [], 2, nonce=nonce)
    again = queue.turn("w1", [], 2, nonce=nonce)

    assert [job.lease for job in again.jobs] == [job.lease for job in first.jobs]
    assert len(claim_all(queue)) == 10


def test_the_shard_that_is_named_is_asked_first(queue: ShardedJobQueue) -> None:
    for _ in range(3 * SHARDS):
        queue.submit("noop")

    for number in (2, 0, 3, 1):
        jobs = queue.turn("w1", [], 2, first=number).jobs
        assert [job.id % SHARDS for job in jobs] == [number, number]


def test_a_renewal_speaks_of_the_jobs_of_all_shards(queue: ShardedJobQueue) -> None:
    for _ in range(SHARDS):
        queue.submit("noop")
    jobs = claim_all(queue)
    queue.cancel(jobs[0].id)
    queue.complete(jobs[1])
    queue.submit("noop")

    renewal = queue.renew("w1", jobs, {"role": "main"})

    assert renewal.cancel == [jobs[0].id]
    assert renewal.lost == [jobs[1].id]
    assert sorted(renewal.ok) == sorted(job.id for job in jobs[2:])
    assert renewal.work_waits and not renewal.incomplete


def test_presence_is_told_at_home_alone(queue: ShardedJobQueue, store: redis.Redis) -> None:
    queue.renew("w1", [], {"role": "main"})

    assert [store.zcard(part.keys.workers) for part in queue.parts()] == [1, 0, 0, 0]
    queue.renew("w1", [], None)
    assert not store.zcard(queue.keys.workers)


def test_a_pause_stops_all_shards(queue: ShardedJobQueue) -> None:
    for _ in range(SHARDS):
        queue.submit("noop")

    assert queue.pause()
    assert not queue.pause()
    assert not queue.claim("w1", 5)
    assert queue.resume()
    assert len(claim_all(queue)) == SHARDS


def test_housekeeping_reaches_all_shards(queue: ShardedJobQueue, clock: Clock) -> None:
    for _ in range(3 * SHARDS):
        queue.submit("noop", delay_ms=1000)
    assert queue.promote().next_due_ms == 1000
    clock.advance(seconds=1)
    assert queue.promote().moved == 3 * SHARDS
    died = sorted(job.id for job in claim_all(queue))
    for _ in range(3):
        assert queue.reap().requeued == []
        clock.advance(seconds=20)
    assert sorted(queue.reap().requeued) == died
    for job in claim_all(queue):
        queue.complete(job)
    assert queue.wipe_payloads(success_age_ms=0) == 3 * SHARDS
    assert queue.trim(max_jobs=2 * SHARDS) == SHARDS
    assert queue.finished() == 2 * SHARDS


def test_repair_says_which_shard_was_wrong(queue: ShardedJobQueue, store: redis.Redis) -> None:
    for _ in range(SHARDS):
        queue.submit("noop")
    assert queue.repair() == []
    store.zrem(queue.parts()[2].keys.pending, "6")

    assert [line.partition(":")[0] for line in queue.repair()] == ["shard 2"]


def test_a_counter_that_repair_had_to_guess_gives_ids_of_its_shard(
    queue: ShardedJobQueue, store: redis.Redis
) -> None:
    for _ in range(8):
        queue.submit("noop")
    for part in queue.parts():
        store.delete(part.keys.counter)
    queue.repair()
    store.set(queue.parts()[1].keys.counter, 11)  # one of shard 3

    ids = [queue.submit("noop") for _ in range(8)]

    assert len(set(ids)) == 8
    assert min(ids) > 11 - SHARDS


def test_one_who_believes_in_one_shard_submits_nothing(
    queue: ShardedJobQueue, store: redis.Redis, source: Callable[[str], str]
) -> None:
    with pytest.raises(LayoutChanging):
        JobQueue(store, source=source).submit("noop")
    assert not store.exists(queue.keys.counter)


def test_the_number_of_shards_must_be_the_store_s(
    queue: ShardedJobQueue, store: redis.Redis, source: Callable[[str], str]
) -> None:
    queue.submit("noop")
    with pytest.raises(ServerUnsuitable, match="can't have fewer"):
        sharded(store, 2, source=source)
    with pytest.raises(ServerUnsuitable, match="flask queue shards 8"):
        sharded(store, 8, source=source)


def test_what_one_shard_has_no_room_for_goes_to_another(
    queue: ShardedJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise QueueFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr(queue.parts()[1], "submit_step", refuse)
        ids = [queue.submit("noop") for _ in range(8)]
        assert {job_id % SHARDS for job_id in ids} == {0, 2, 3}
        for part in queue.parts():
            patched.setattr(part, "submit_step", refuse)
        with pytest.raises(QueueFull):
            queue.submit("noop")
    assert len(claim_all(queue)) == 8


@pytest.mark.parametrize(("mine", "others"), [("", "{mr0}"), ("{mr0}", ""), ("x{mr0}", "x")])
def test_a_store_whose_shards_would_be_those_of_another_does_not_begin(
    store: redis.Redis, clock: Clock, source: Callable[[str], str], mine: str, others: str
) -> None:
    queue = sharded(store, 2, source=source, prefix=mine)
    queue.submit_many([NewJob("noop", idempotency_key=f"k{n}") for n in range(8)])
    before = store.hgetall(queue.parts()[1].keys.meta)

    for begin in (
        lambda: sharded(store, 2, source=source, prefix=others),
        lambda: grow(sharded(store, 1, source=source, prefix=others).shards, 2),
        lambda: sharded(store, 1, source=source, prefix=queue.parts()[1].keys.prefix),
    ):
        with pytest.raises(ServerUnsuitable, match=f'whose KEY_PREFIX is "{mine}"'):
            begin()

    assert store.hgetall(queue.parts()[1].keys.meta) == before
    assert sharded(store, 2, source=source, prefix=mine).submit("noop")
    assert len(claim_all(queue)) == 9


class Away:
    """A shard that does what it is told, and whose answers are lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, part: JobQueue) -> None:
        for verb in ("turn", "renew", "submit_step"):
            monkeypatch.setattr(part, verb, self._lost(getattr(part, verb)))
        self.asked = 0

    def _lost(self, real: Callable[..., object]) -> Callable[..., None]:
        def lost(*args: object, **options: object) -> None:
            self.asked += 1
            real(*args, **options)
            raise QueueUnavailable("gone")

        return lost


def test_a_claim_whose_answer_was_lost_is_asked_for_again(
    queue: ShardedJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [queue.submit("noop") for _ in range(2 * SHARDS)]
    with monkeypatch.context() as patched:
        away = Away(patched, queue.parts()[1])
        jobs = claim_all(queue)
    assert len(jobs) == 2 * (SHARDS - 1)
    assert away.asked == 1  # then it is passed over
    queue.shards._away_until.clear()

    jobs += claim_all(queue)

    assert sorted(job.id for job in jobs) == sorted(ids)
    assert queue.turn("w1", [outcomes.completed(job) for job in jobs], 0).verdicts == ["ok"] * 8


def test_what_can_not_be_told_is_said_and_the_rest_is_told(
    queue: ShardedJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(SHARDS):
        queue.submit("noop")
    jobs = claim_all(queue)
    ended = [outcomes.completed(job) for job in jobs]
    with monkeypatch.context() as patched:
        Away(patched, queue.parts()[2])
        renewal = queue.renew("w1", jobs, {"role": "main"})
        turn = queue.turn("w1", ended, 1)
        submitted = {queue.submit("noop") % SHARDS for _ in range(2 * SHARDS)}
    queue.shards._away_until.clear()

    assert renewal.incomplete and sorted(renewal.ok) == sorted(j.id for j in jobs if j.id % 4 != 2)
    assert turn.verdicts == ["away" if job.id % SHARDS == 2 else "ok" for job in jobs]
    assert submitted == {0, 1, 3}
    verdicts = queue.turn("w1", ended, 0).verdicts
    assert verdicts == ["ok" if job.id % SHARDS == 2 else "repeat" for job in jobs]


def test_when_all_are_away_that_is_an_error(
    queue: ShardedJobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        for part in queue.parts():
            Away(patched, part)
        for ask in (
            lambda: queue.turn("w1", [], 1),
            lambda: queue.renew("w1", [], {}),
            lambda: queue.submit("noop"),
        ):
            with pytest.raises(QueueUnavailable):
                ask()
    queue.shards._away_until.clear()


def test_finished_jobs_may_stay_by_shares() -> None:
    assert shares(100, [50, 50]) == [0, 0]
    assert shares(100, [300, 100, 0]) == [75, 25, 1]
