"""Calls of a script that are sent before the one before is answered, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from app.queue.errors import LayoutChanging, QueueFull, QueueUnavailable
from app.queue.jobqueue import SUBMIT_MAX, JobQueue
from app.queue.layout import Era
from app.queue.line import Line
from app.queue.submission import NewJob, Submitted, pack
from tests.queue.invariants import check

STEPS = 4
JOBS = [NewJob("noop", json.dumps(number)) for number in range(SUBMIT_MAX * STEPS)]
IDS = list(range(1, len(JOBS) + 1))


@pytest.fixture
def queue(client: redis.Redis) -> Iterator[JobQueue]:
    queue = JobQueue(client)
    yield queue
    assert queue.now() > 0, "its connections still serve"
    check(client)


@pytest.fixture
def on_line(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Has a method of every line followed by something."""

    def follow(name: str, then: Callable[[], None]) -> None:
        original: Callable[..., Any] = getattr(Line, name)

        def call(line: Line, *args: Any) -> Any:
            answer = original(line, *args)
            then()
            return answer

        monkeypatch.setattr(Line, name, call)

    return follow


def submitted(queue: JobQueue) -> list[int]:
    answers = queue.submit_many(JOBS)
    assert all(isinstance(answer, Submitted) and answer.created for answer in answers)
    return [answer.job_id for answer in answers]


def payloads(client: redis.Redis) -> list[int]:
    found: Any = client.hgetall("Job_payload")
    return [json.loads(found[str(job_id)]) for job_id in sorted(map(int, found))]


def test_each_step_is_sent_before_the_one_before_is_answered(
    queue: JobQueue, on_line: Callable[..., None]
) -> None:
    queue.submit("noop")  # the server knows the script
    notes: list[str] = []
    for name in ("send", "receive"):
        on_line(name, lambda name=name: notes.append(name))

    queue.submit_many(JOBS)

    assert notes == ["send", *["send", "receive"] * (STEPS - 1), "receive"]


@pytest.mark.parametrize("at", range(1, STEPS + 1))
@pytest.mark.parametrize("name", ["send", "receive"])
def test_a_connection_that_breaks_takes_every_job_once(
    queue: JobQueue, client: redis.Redis, on_line: Callable[..., None], name: str, at: int
) -> None:
    queue.submit("noop", "-1")
    calls: list[str] = []

    def fail() -> None:
        calls.append(name)
        if len(calls) == at:
            raise redis.ConnectionError("cut")

    on_line(name, fail)

    assert submitted(queue) == [job_id + 1 for job_id in IDS]

    assert len(calls) == at, "the rest goes as ever"
    assert payloads(client) == list(range(-1, len(JOBS)))


def test_an_interruption_leaves_no_answer_for_the_next_one_who_asks(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_line: Line) -> None:
        raise KeyboardInterrupt

    queue.submit("noop")
    with monkeypatch.context() as patch:
        patch.setattr(Line, "receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            queue.submit_many(JOBS)

    assert queue.submit("noop") > 1
    assert queue.claim("w1")[0].id == 1


def test_a_server_that_does_not_know_the_script_gets_it(
    queue: JobQueue, client: redis.Redis
) -> None:
    client.script_flush()

    assert submitted(queue) == IDS
    assert payloads(client) == list(range(len(JOBS)))


@pytest.mark.parametrize("name", ["send", "receive"])
def test_what_timed_out_is_not_asked_again(
    queue: JobQueue, client: redis.Redis, on_line: Callable[..., None], name: str
) -> None:
    def time_out() -> None:
        raise redis.TimeoutError

    queue.submit("noop", "-1")
    on_line(name, time_out)

    with pytest.raises(QueueUnavailable):
        queue.submit("noop", "0")

    # The server had it, but was asked for nothing else; a caller that waits for it is not kept.
    assert payloads(client) == [-1, 0]


def test_after_a_cut_the_master_is_looked_for_anew(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(client)
    line.send(("PING",))
    assert line.receive() in ("PONG", True)
    looked: list[object] = []
    connect = type(line._connection).connect
    monkeypatch.setattr(
        type(line._connection), "connect", lambda made: looked.append(made) or connect(made)
    )
    line.send(("PING",))
    line.cut()
    assert looked == []

    line.send(("ECHO", "again"))

    assert looked == [line._connection], "as redis-py's connections by Sentinel ask it in there"
    assert line.receive() == "again"
    line.give_back()


def test_an_error_is_raised_and_leaves_whole_steps_in_their_order(
    queue: JobQueue, client: redis.Redis, on_line: Callable[..., None]
) -> None:
    queue.submit("noop", "-1")
    on_line("receive", lambda: client.config_set("maxmemory", 1))
    try:
        with pytest.raises(QueueFull):
            queue.submit_many(JOBS)
    finally:
        client.config_set("maxmemory", 0)

    taken = payloads(client)
    assert taken in ([*range(-1, SUBMIT_MAX * steps)] for steps in range(1, STEPS))


def test_nothing_is_taken_when_the_shard_has_another_era(
    queue: JobQueue, client: redis.Redis, on_line: Callable[..., None]
) -> None:
    steps = [[(job, pack(job)) for job in JOBS[:SUBMIT_MAX]]] * STEPS
    given_back: list[bool] = []
    on_line("give_back", lambda: given_back.append(True))

    with pytest.raises(LayoutChanging) as raised:
        list(queue.submit_steps(steps, Era(1, 2), 1))

    assert payloads(client) == []
    assert given_back, f"at once, not when nobody looks at the error any more: {raised.value!r}"
