"""The jobs that follow from outcomes reach the queue before the outcomes do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import redis

from app.jobs import job_type, registry
from app.queue import outcome as outcomes
from app.queue.answers import Turn
from app.queue.errors import QueueFull, QueueUnavailable
from app.queue.job import Job, Priority
from app.queue.jobqueue import JobQueue
from app.queue.outcome import Outcome
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.submission import NewJob, Submitted
from tests.api.conftest import source_for_fakeredis
from tests.workers.crews import make_job
from workers.bell import Bell
from workers.follow_ups import FollowUps, with_follow_ups
from workers.journal import Journal, journals, left_behind
from workers.turns import Turns


@pytest.fixture
def queue(fake_client: redis.Redis) -> JobQueue:
    return JobQueue(fake_client, source=source_for_fakeredis)


@pytest.fixture(autouse=True)
def known_job_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_job_types", {})


def ended(*follow_ups: NewJob) -> Outcome:
    return replace(outcomes.completed(make_job()), follow_ups=follow_ups)


def event(number: int = 1) -> NewJob:
    return NewJob("webhook", f'{{"id": {number}}}', idempotency_key=f"event:{number}")


def pending(queue: JobQueue) -> list[str]:
    return [job.payload for job in queue.claim("w1", count=10)]


def test_the_job_type_says_what_follows() -> None:
    def follow_ups(job: Job, outcome: Outcome, now: float) -> list[NewJob]:
        return [NewJob("after", json.dumps([job.id, outcome.verb, now]))]

    job_type("first", follow_ups=follow_ups)(lambda job: None)
    job = make_job(5, "first")

    told = with_follow_ups(job, outcomes.completed(job, "done"), 1.5)

    assert told.follow_ups == (NewJob("after", '[5, "complete", 1.5]'),)
    assert replace(told, follow_ups=()) == outcomes.completed(job, "done")


@pytest.mark.parametrize("name", ["plain", "unknown", "failing", "refused", "odd"])
def test_whatever_is_wrong_with_what_follows_the_outcome_stands(name: str) -> None:
    def failing(job: Job, outcome: Outcome, now: float) -> list[NewJob]:
        raise ValueError("no luck")

    job_type("plain")(lambda job: None)
    job_type("failing", follow_ups=failing)(lambda job: None)
    job_type("refused", follow_ups=lambda *_: [NewJob("no name")])(lambda job: None)
    job_type("odd", follow_ups=lambda *_: 7)(lambda job: None)  # type: ignore[arg-type,return-value]
    job = make_job(1, name)

    assert with_follow_ups(job, outcomes.completed(job), 1.5) == outcomes.completed(job)


def test_what_follows_is_submitted_once_however_often_it_is_tried(queue: JobQueue) -> None:
    follow_ups = FollowUps(queue)
    follow_ups.submit([ended(event(1)), ended(), ended(event(2))])
    follow_ups.submit([ended(event(1)), ended(event(2))])

    assert pending(queue) == ['{"id": 1}', '{"id": 2}']


def test_while_redis_is_away_the_outcomes_wait_too(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_ups = FollowUps(queue)

    def away(jobs: list[NewJob]) -> None:
        raise QueueUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "submit_many", away)
        follow_ups.submit([ended()])  # needs nothing of Redis
        with pytest.raises(QueueUnavailable):
            follow_ups.submit([ended(event())])
    follow_ups.submit([ended(event())])

    assert pending(queue) == ['{"id": 1}']


def test_a_full_queue_holds_no_outcome_back_and_gets_the_jobs_later(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_ups = FollowUps(queue)

    def full(jobs: list[NewJob]) -> None:
        raise QueueFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(queue, "submit_many", full)
        follow_ups.submit([ended(event(1))])
        follow_ups.submit([ended(event(1)), ended(event(2))])
    follow_ups.submit([])

    assert pending(queue) == ['{"id": 1}', '{"id": 2}']
    follow_ups.submit([])
    assert pending(queue) == []


def test_a_key_that_belongs_to_another_job_stops_nothing(
    queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.submit("other", "{}", idempotency_key="event:1")

    FollowUps(queue).submit([ended(event(1), event(2))])

    assert pending(queue) == ["{}", '{"id": 2}']
    assert "is lost" in caplog.text


def test_they_outlive_their_worker_in_the_journal(tmp_path: Path) -> None:
    told = ended(
        NewJob("webhook", "{}", Priority.HIGH, tags=("a", "b"), title="t", people=("p",)),
        event(2),
    )
    journal = Journal(tmp_path, "w1")
    journal.keep([told])
    copy = tmp_path / "dead.jsonl"  # the owner's lock is on its own file
    copy.write_bytes((tmp_path / "w1.jsonl").read_bytes())
    journal.clear()

    assert journals(tmp_path) == [copy]
    with left_behind(copy) as found:
        assert found == [told]
        assert isinstance(found[0].follow_ups[0].priority, Priority)


class AwayTheFirstTime:
    """Notes what it is asked, and has no answer when it hears a question first."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ensure_schema(self) -> None:
        """Not asked about."""

    def submit_many(self, jobs: list[NewJob]) -> list[Submitted]:
        self._ask("submit")
        return [Submitted(1, None) for _ in jobs]

    def parts(self) -> list[AwayTheFirstTime]:
        return [self]

    def turn(
        self, worker: str, told: list[Outcome], wanted: int, *, nonce: str, first: int | None
    ) -> Turn:
        self._ask("turn")
        return Turn(["ok" for _ in told])

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.asked.count(what) == 1:
            raise QueueUnavailable("gone")


def make_turns(queue: AwayTheFirstTime, folder: Path) -> Turns:
    return Turns(
        cast(ShardedJobQueue, queue),
        "w1",
        folder,
        Bell(),
        more_finished=list,
        stop_by=lambda: None,
    )


def test_an_outcome_is_told_only_when_what_follows_is_submitted(tmp_path: Path) -> None:
    queue = AwayTheFirstTime()

    turn = make_turns(queue, tmp_path).take([ended(event())], 0)

    assert turn.verdicts == ["ok"]
    assert queue.asked == ["submit", "submit", "turn", "submit", "turn"]


class OneShardAway(AwayTheFirstTime):
    """Can't tell what is odd."""

    def turn(
        self, worker: str, told: list[Outcome], wanted: int, *, nonce: str, first: int | None
    ) -> Turn:
        return Turn(["away" if outcome.job_id % 2 else "ok" for outcome in told])


def test_what_can_not_be_told_stays_in_the_journal_whatever_else_is(tmp_path: Path) -> None:
    turns = make_turns(OneShardAway(), tmp_path)
    odd, even = Outcome(7, "t", "complete"), Outcome(8, "t", "complete")

    turns.take([odd, even], 0)
    turns.take([even], 0)

    assert turns.take_untold() == [odd]
    [line] = (tmp_path / "w1.jsonl").read_text().splitlines()
    assert '"job_id": 7' in line
