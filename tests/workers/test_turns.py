"""Turns that are sent ahead: nothing is told twice, claimed twice or forgotten, whatever breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from app.queue import outcome as outcomes
from app.queue.answers import Turn
from app.queue.connection import connect
from app.queue.errors import QueueUnavailable
from app.queue.job import Job, Status
from app.queue.line import Line
from app.queue.opening import Store
from app.queue.submission import NewJob
from tests.workers.own_server import OwnServer
from tests.workers.processes import RETRY, System, wait_until
from workers.bell import Bell
from workers.turns import Turns

WORKER = "w1"


@pytest.fixture
def make_turns(tmp_path: Path) -> Callable[..., Turns]:
    def make(store: Store, **options: Any) -> Turns:
        defaults = {"more_finished": list, "stop_by": lambda: None}
        return Turns(store.queue, WORKER, tmp_path, Bell(), **{**defaults, **options})

    return make


def claimed(turns: Turns, count: int) -> list[Job]:
    jobs = turns.take([], count).jobs
    assert len(jobs) == count
    return jobs


def completed(jobs: list[Job]) -> list[outcomes.Outcome]:
    return [outcomes.completed(job) for job in jobs]


def submit(store: Store, count: int) -> None:
    store.queue.submit_many([NewJob("noop")] * count)


def test_turns_are_made_before_the_first_is_answered_and_answered_in_their_order(
    open_store: Callable[..., Store], make_turns: Callable[..., Turns], client: redis.Redis
) -> None:
    store = open_store()
    submit(store, 7)
    turns = make_turns(store)
    jobs = claimed(turns, 3)

    turns.ask(completed(jobs[:1]), 2, ahead=True)
    turns.ask(completed(jobs[1:]), 1, ahead=True)
    assert (len(turns.under_way), turns.wanted, turns.sent_ahead) == (2, 3, True)
    wait_until(lambda: store.inspector().counts()[Status.SUCCESS] == 3, "both are with the server")

    first, second = turns.answer(), turns.answer()
    assert [len(turn.verdicts) for _, turn in (first, second)] == [1, 2]
    assert [[job.id for job in turn.jobs] for _, turn in (first, second)] == [[4, 5], [6]]
    assert first[0].finished[0].job_id == 1
    assert all(job.leased_at == asked.at for asked, turn in (first, second) for job in turn.jobs)
    assert not turns.under_way and turns.wanted == 0 and not turns.sent_ahead
    turns.close()


def break_off(*_args: object) -> None:
    raise redis.ConnectionError("cut")


def test_what_was_sent_ahead_before_the_connection_broke_is_told_and_claimed_once(
    open_store: Callable[..., Store],
    make_turns: Callable[..., Turns],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store()
    submit(store, 9)
    turns = make_turns(store)
    jobs = claimed(turns, 3)
    turns.ask(completed(jobs[:1]), 2, ahead=True)
    turns.ask(completed(jobs[1:]), 1, ahead=True)
    wait_until(lambda: store.inspector().counts()[Status.SUCCESS] == 3, "both are with the server")

    with monkeypatch.context() as patch:  # the server has answered, and nobody reads it
        patch.setattr(Line, "receive", break_off)
        asked, first = turns.answer()
    _, second = turns.answer()

    assert [outcome.job_id for outcome in asked.finished] == [1, 2, 3], "all told with the first"
    assert first.verdicts == ["repeat"] * 3
    assert [[job.id for job in turn.jobs] for turn in (first, second)] == [[4, 5], [6]]
    assert store.inspector().counts()[Status.PROCESSING] == 3
    turns.ask(completed(first.jobs), 1, ahead=True)
    assert turns.answer()[1].verdicts == ["ok", "ok"], "on a new connection"
    turns.close()


def test_outcomes_whose_turn_timed_out_are_in_the_journal_before_the_next_try(
    open_store: Callable[..., Store],
    make_turns: Callable[..., Turns],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def time_out(_line: Line) -> None:
        raise redis.TimeoutError

    store = open_store()
    submit(store, 2)
    turns = make_turns(store)
    jobs = claimed(turns, 2)
    journal = tmp_path / f"{WORKER}.jsonl"
    kept: list[int] = []
    turn = store.queue.turn

    def noting(*args: Any, **options: Any) -> Turn:
        kept.append(len(journal.read_text().splitlines()))
        return turn(*args, **options)

    monkeypatch.setattr(Line, "receive", time_out)
    monkeypatch.setattr(store.queue, "turn", noting)
    turns.ask(completed(jobs[:1]), 0, ahead=True)
    turns.ask(completed(jobs[1:]), 0, ahead=True)

    verdicts = turns.answer()[1].verdicts

    assert set(verdicts) <= {"ok", "repeat"}, "the server may have had the second or not"
    assert kept == [2]
    assert not journal.exists()
    turns.close()


def test_what_could_not_be_sent_ahead_is_made_when_it_is_asked_for(
    open_store: Callable[..., Store], make_turns: Callable[..., Turns], client: redis.Redis
) -> None:
    store = open_store()
    submit(store, 6)
    turns = make_turns(store)
    jobs = claimed(turns, 2)
    turns.ask([], 1, ahead=True)
    turns.answer()
    client.client_kill_filter(_type="normal", skipme=True)

    turns.ask(completed(jobs[:1]), 1, ahead=True)
    turns.ask(completed(jobs[1:]), 1, ahead=True)
    answers = [turns.answer() for _ in range(2)]

    assert [verdict for _, turn in answers for verdict in turn.verdicts] == ["ok", "ok"]
    assert [job.id for _, turn in answers for job in turn.jobs] == [4, 5]
    turns.close()


def test_a_server_that_forgot_the_script_gets_it_again(
    open_store: Callable[..., Store], make_turns: Callable[..., Turns], client: redis.Redis
) -> None:
    store = open_store()
    submit(store, 3)
    turns = make_turns(store)
    jobs = claimed(turns, 2)
    client.script_flush()

    turns.ask(completed(jobs[:1]), 0, ahead=True)
    turns.ask(completed(jobs[1:]), 1, ahead=True)
    (_, first), (_, second) = turns.answer(), turns.answer()

    assert first.verdicts == ["ok", "ok"]
    assert [job.id for job in second.jobs] == [3]
    turns.close()


def test_while_redis_is_away_all_that_is_under_way_is_in_the_journal(
    own_server: OwnServer,
    open_store: Callable[..., Store],
    make_turns: Callable[..., Turns],
    tmp_path: Path,
) -> None:
    store = open_store(own_server.url)
    submit(store, 4)
    turns = make_turns(store, stop_by=lambda: 0.0)
    jobs = claimed(turns, 4)
    own_server.freeze()
    turns.ask(completed(jobs[:1]), 0, ahead=True)
    turns.ask(completed(jobs[1:3]), 0, ahead=True)
    own_server.kill()

    with pytest.raises(QueueUnavailable):
        turns.answer()

    lines = (tmp_path / f"{WORKER}.jsonl").read_text().splitlines()
    assert [json.loads(line)["job_id"] for line in lines] == [1, 2, 3]
    turns.close()


def test_jobs_that_follow_are_submitted_before_their_outcome_is_told(
    open_store: Callable[..., Store], make_turns: Callable[..., Turns], client: redis.Redis
) -> None:
    store = open_store()
    submit(store, 1)
    turns = make_turns(store)
    [job] = claimed(turns, 1)
    follows = replace(outcomes.completed(job), follow_ups=(NewJob("event", "{}"),))

    turns.ask([follows], 0, ahead=True)
    assert not turns.sent_ahead
    assert turns.answer()[1].verdicts == ["ok"]

    assert store.inspector().counts()[Status.PENDING] == 1


def test_of_several_shards_nothing_is_asked_ahead(
    open_store: Callable[..., Store], make_turns: Callable[..., Turns], client: redis.Redis
) -> None:
    turns = make_turns(open_store(QUEUE_SHARDS="2"))

    turns.ask([], 1, ahead=True)

    assert not turns.sent_ahead
    assert turns.answer()[1].jobs == []
    client.flushall()  # what is checked afterwards is a store with one


def test_a_drain_that_is_cut_off_again_and_again_runs_each_job_once(system: System) -> None:
    jobs = [NewJob("swift")] * 4000
    system.queue.submit_many(jobs)
    admin = connect(system.url, name="admin")
    worker = system.start()
    cuts, submitted = 0, len(jobs)

    def done() -> bool:
        nonlocal cuts, submitted
        finished = system.inspector.counts()[Status.SUCCESS]
        if finished and cuts < 40:
            cuts += bool(admin.client_kill_filter(_type="normal", skipme=True))
        if finished == submitted and cuts < 5:  # this process had no time to cut it off
            system.queue.submit_many(jobs)
            submitted += len(jobs)
        return finished == submitted

    wait_until(done, "all are done")

    assert cuts >= 5
    runs = [job_id for job_id, _, _ in system.notes()]
    assert sorted(runs) == list(range(1, submitted + 1))
    assert system.totals()["lost"] == system.totals()["late"] == system.totals()["died"] == 0
    assert worker.stop() == 0
    assert "Traceback" not in worker.log()
    admin.close()


def test_a_worker_that_is_stopped_in_a_drain_gives_back_what_it_has_not_begun(
    system: System,
) -> None:
    jobs = [NewJob("swift")] * 4000
    jobs[1000] = NewJob("stops_its_worker")  # it is never too late for that
    system.queue.submit_many(jobs)
    system.start(RETRY)
    worker = system.start()

    assert worker.exit_code() == 0

    assert system.inspector.counts()[Status.PROCESSING] == 0
    assert len(system.notes()) == system.inspector.counts()[Status.SUCCESS] < len(jobs)
    system.start()
    system.wait_for_all(Status.SUCCESS, len(jobs))
    assert len(system.notes()) == len(jobs)
    assert system.totals()["died"] == 0
