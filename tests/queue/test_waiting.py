"""Waiting for the marker and claiming in one answer, on real servers: fakeredis blocks nobody."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import redis

from app.queue.answers import Turn
from app.queue.connection import connect
from app.queue.errors import QueueUnavailable, ServerUnsuitable
from app.queue.job import Status
from app.queue.jobqueue import JobQueue
from app.queue.waiting import MarkerWait
from tests.conftest import RedisServer
from tests.queue.invariants import check
from tests.workers.processes import wait_until

BLOCK_SECONDS = 30.0
SOON_SECONDS = 0.05

MakeWait = Callable[..., MarkerWait]
Cut = Callable[[MarkerWait], AbstractContextManager[None]]


@pytest.fixture(
    params=["server", pytest.param("debian_redis", marks=pytest.mark.needs_redis_server)]
)
def url(request: pytest.FixtureRequest) -> str:
    found: RedisServer = request.getfixturevalue(request.param)
    return found.url


@pytest.fixture
def store(url: str) -> Iterator[redis.Redis]:
    client = connect(url, name="tests")
    client.flushall()
    yield client
    check(client)
    client.close()


@pytest.fixture
def queue(store: redis.Redis) -> JobQueue:
    return JobQueue(store)


@pytest.fixture
def make_wait(queue: JobQueue, url: str) -> Iterator[MakeWait]:
    with contextlib.ExitStack() as ends:

        def make(block_seconds: float = BLOCK_SECONDS) -> MarkerWait:
            client = connect(url, name="waits", timeout_seconds=BLOCK_SECONDS + 5, resend=False)
            wait = MarkerWait(queue, client, queue.keys.wake, block_seconds=block_seconds)
            ends.callback(client.close)
            ends.callback(wait.close)
            return wait

        yield make


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """The connection breaks after the server has answered, before anybody reads it."""

    @contextlib.contextmanager
    def cutting(wait: MarkerWait) -> Iterator[None]:
        connection = wait._line._connection = wait._line._pool.get_connection()
        read = connection.read_response
        answers: list[object] = []

        def read_and_break(*args: object, **options: object) -> object:
            answers.append(read(*args, **options))
            if len(answers) == 2:
                raise redis.ConnectionError("cut")
            return answers[-1]

        with monkeypatch.context() as patch:
            patch.setattr(connection, "read_response", read_and_break)
            yield
        assert len(answers) == 2

    return cutting


class Waiting:
    """`claim` in a thread of its own, which has come to the server."""

    def __init__(self, wait: MarkerWait, store: redis.Redis) -> None:
        self.turn: Turn | None = None
        self.error: Exception | None = None
        self._wait = wait
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: blocked(store), "it waits")

    def end(self) -> None:
        self._thread.join(BLOCK_SECONDS / 2)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.turn = self._wait.claim("w1")
        except Exception as error:
            self.error = error


def blocked(store: redis.Redis) -> int:
    count: int = store.info("clients")["blocked_clients"]
    return count


def test_who_waits_has_the_job_with_the_marker(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    waiting = Waiting(make_wait(), store)

    job_id = queue.submit("noop", {"a": 1})

    waiting.end()
    assert waiting.turn is not None
    [job] = waiting.turn.jobs
    assert (job.id, job.payload, job.worker, job.attempts) == (job_id, '{"a": 1}', "w1", 1)
    assert not waiting.turn.more_wait
    assert queue.complete(job) == "ok"
    assert not store.exists(queue.keys.wake)


def test_it_claims_one_job_and_leaves_a_marker_for_the_others(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    first, second = make_wait(), make_wait()
    queue.submit("noop")
    queue.submit("noop")

    one = first.claim("w1")
    other = second.claim("w2")

    assert [job.id for job in one.jobs + other.jobs] == [1, 2]
    assert (one.more_wait, other.more_wait) == (True, False)
    assert not store.exists(queue.keys.wake)


def test_when_the_time_is_over_it_takes_what_is_there_without_a_marker(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    wait = make_wait(SOON_SECONDS)
    assert wait.claim("w1").jobs == []
    queue.submit("noop")
    store.delete(queue.keys.wake)  # died with the worker that took it

    assert [job.id for job in wait.claim("w1").jobs] == [1]


def test_a_paused_queue_gives_nothing(queue: JobQueue, make_wait: MakeWait) -> None:
    queue.submit("noop")
    queue.pause()

    turn = make_wait().claim("w1")

    assert turn.paused
    assert turn.jobs == []


def test_a_server_that_forgot_the_script_learns_it_again(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    wait = make_wait()
    queue.submit("noop")
    queue.submit("noop")
    store.script_flush()

    assert [job.id for job in wait.claim("w1").jobs] == [1]
    assert [job.id for job in wait.claim("w1").jobs] == [2]


def test_closing_ends_a_wait_and_leaves_nothing_behind(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    wait = make_wait()
    waiting = Waiting(wait, store)

    wait.close()

    waiting.end()
    assert isinstance(waiting.error, QueueUnavailable)
    wait_until(lambda: not blocked(store), "the server noticed")
    queue.submit("noop")
    assert wait.unheard("w1") == []
    assert queue.claim("w2")[0].attempts == 1


def test_a_claim_that_nobody_heard_of_is_heard_of_at_the_end(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait, cut: Cut
) -> None:
    wait = make_wait()
    queue.submit("noop")
    with cut(wait):
        pytest.raises(QueueUnavailable, wait.claim, "w1")
    queue.submit("noop")

    [job] = wait.unheard("w1")

    assert (job.id, job.attempts, job.status) == (1, 1, Status.PROCESSING)
    assert wait.unheard("w1") == []
    assert queue.release(job) == "ok"


def test_a_claim_that_nobody_heard_of_is_made_again_as_the_same(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait, cut: Cut
) -> None:
    wait = make_wait()
    queue.submit("noop")
    queue.submit("noop")
    with cut(wait):
        pytest.raises(QueueUnavailable, wait.claim, "w1")

    again, next_one = wait.claim("w1").jobs, wait.claim("w1").jobs

    assert [(job.id, job.attempts) for job in again + next_one] == [(1, 1), (2, 1)]


def test_what_the_server_refuses_is_told_and_waiting_goes_on_when_it_serves_again(
    queue: JobQueue, store: redis.Redis, make_wait: MakeWait
) -> None:
    wait = make_wait()
    queue.submit("noop")
    store.config_set("requirepass", "changed")
    try:
        pytest.raises(ServerUnsuitable, wait.claim, "w1")
    finally:
        store.execute_command("AUTH", "changed")
        store.config_set("requirepass", "")

    assert [job.id for job in wait.claim("w1").jobs] == [1]
