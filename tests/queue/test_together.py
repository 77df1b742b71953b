"""Threads that submit at the same time share a call, and only the call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import redis

from app.queue import sharded_submission
from app.queue.errors import IdempotencyConflict, InvalidJob, LayoutChanging, QueueUnavailable
from app.queue.sharded_jobqueue import ShardedJobQueue
from app.queue.submission import NewJob, Packed, Submitted, pack
from app.queue.together import JOBS_MAX, PAYLOAD_MAX_CHARS, Answer, Together
from tests.queue.sharded import check_shards, sharded
from tests.queue.test_growth import half_grown
from tests.queue.virtual_time import Clock

SECONDS = 20


class Calls:
    """Answers with the length of each payload; the first call waits until it may go on."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.fails: dict[int, BaseException] = {}  # number of the call → what it raises
        self.reached, self.go_on = threading.Event(), threading.Event()

    def submit(self, jobs: Sequence[Packed]) -> list[Answer]:
        self.calls.append([new.payload for new, _ in jobs])
        number = len(self.calls)
        if number == 1:
            self.reached.set()
            assert self.go_on.wait(SECONDS)
        if error := self.fails.get(number):
            raise error
        return [Submitted(len(new.payload), new) for new, _ in jobs]


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * JOBS_MAX) as pool:
        yield pool


def job(payload: str) -> Packed:
    new = NewJob("noop", payload)
    return new, pack(new)


def in_line(together: Together, count: int) -> None:
    until = time.monotonic() + SECONDS
    while len(together._waiting) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def line_up(
    threads: ThreadPoolExecutor, calls: Calls, together: Together, payloads: Sequence[str]
) -> list[Future[Answer]]:
    """The first is under way, the others wait in this order."""
    asked = [threads.submit(together.submit, job(payloads[0]))]
    assert calls.reached.wait(SECONDS)
    for number, payload in enumerate(payloads[1:], 1):
        asked.append(threads.submit(together.submit, job(payload)))
        in_line(together, number)
    return asked


def ids(asked: Sequence[Future[Answer]]) -> list[int]:
    return [found.job_id for one in asked if isinstance(found := one.result(SECONDS), Submitted)]


def test_who_is_alone_calls_at_once(calls: Calls) -> None:
    calls.go_on.set()
    together = Together(calls.submit)

    together.submit(job("1"))
    together.submit(job("22"))

    assert calls.calls == [["1"], ["22"]]


def test_those_that_come_meanwhile_share_the_next_call(
    calls: Calls, threads: ThreadPoolExecutor
) -> None:
    together = Together(calls.submit, patience_seconds=SECONDS)
    asked = line_up(threads, calls, together, ["1", "22", "333", "4444"])

    calls.go_on.set()

    assert ids(asked) == [1, 2, 3, 4]
    assert calls.calls == [["1"], ["22", "333", "4444"]]
    assert ids([threads.submit(together.submit, job("55555"))]) == [5]


def test_a_call_takes_only_so_many(calls: Calls, threads: ThreadPoolExecutor) -> None:
    together = Together(calls.submit, patience_seconds=SECONDS)
    asked = line_up(threads, calls, together, ["1"] * (JOBS_MAX + 3))

    calls.go_on.set()

    assert len(ids(asked)) == JOBS_MAX + 3
    assert [len(call) for call in calls.calls] == [1, JOBS_MAX, 2]


@pytest.mark.parametrize(
    "error", [QueueUnavailable("away"), RuntimeError("a fault"), SystemExit(1)]
)
def test_an_error_is_that_of_all_in_its_call_and_of_no_other(
    calls: Calls, threads: ThreadPoolExecutor, error: BaseException
) -> None:
    calls.fails[2] = error
    together = Together(calls.submit, patience_seconds=SECONDS)
    asked = line_up(threads, calls, together, ["1", "22", "333"])

    calls.go_on.set()

    assert ids(asked[:1]) == [1]
    with pytest.raises(type(error)):
        asked[1].result(SECONDS)  # it made the call
    with pytest.raises(type(error) if isinstance(error, Exception) else QueueUnavailable):
        asked[2].result(SECONDS)
    assert ids([threads.submit(together.submit, job("4444"))]) == [4]


def test_after_a_call_that_failed_the_next_goes_on(
    calls: Calls, threads: ThreadPoolExecutor
) -> None:
    calls.fails[1] = QueueUnavailable("away")
    together = Together(calls.submit, patience_seconds=SECONDS)
    asked = line_up(threads, calls, together, ["1", "22", "333"])

    calls.go_on.set()

    with pytest.raises(QueueUnavailable):
        asked[0].result(SECONDS)
    assert ids(asked[1:]) == [2, 3]


def test_nobody_waits_for_a_call_that_hangs(calls: Calls, threads: ThreadPoolExecutor) -> None:
    together = Together(calls.submit, patience_seconds=0.01)
    first = threads.submit(together.submit, job("1"))
    assert calls.reached.wait(SECONDS)

    assert ids([threads.submit(together.submit, job("22"))]) == [2]

    assert not first.done()
    calls.go_on.set()
    assert ids([first]) == [1]
    assert calls.calls == [["1"], ["22"]]


def test_a_long_payload_goes_alone(calls: Calls, threads: ThreadPoolExecutor) -> None:
    together = Together(calls.submit, patience_seconds=SECONDS)
    asked = line_up(threads, calls, together, ["1"])

    long = threads.submit(together.submit, job('"' + "x" * PAYLOAD_MAX_CHARS + '"'))

    assert ids([long]) == [PAYLOAD_MAX_CHARS + 2]
    calls.go_on.set()
    assert ids(asked) == [1]


# ── The queue itself ────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=[1, 4])
def queue(
    request: pytest.FixtureRequest,
    store: redis.Redis,
    clock: Clock,
    source: Callable[[str], str],
) -> Iterator[ShardedJobQueue]:
    queue = sharded(store, request.param, source=source)
    yield queue
    check_shards(store, queue)


def test_keys_and_conflicts_in_one_call_are_answered_each(
    queue: ShardedJobQueue, threads: ThreadPoolExecutor
) -> None:
    """All but the first wait behind a call that was held up."""
    submit, reached, go_on = queue._submit_packed, threading.Event(), threading.Event()
    sizes: list[int] = []

    def held_up(jobs: Sequence[Packed]) -> list[Answer]:
        sizes.append(len(jobs))
        reached.set()
        assert go_on.wait(SECONDS)
        return submit(jobs)

    queue._together = Together(held_up, patience_seconds=SECONDS)
    first = threads.submit(queue.submit_one, NewJob("noop"))
    assert reached.wait(SECONDS)
    asked = []
    for number, payload in enumerate(("{}", "{}", "[]", '"other"'), 1):
        key = None if payload == '"other"' else "order-7"
        new = NewJob("noop", payload, idempotency_key=key)
        asked.append(threads.submit(queue.submit_one, new))
        in_line(queue._together, number)
    # It never gets into the line.
    for wrong in (NewJob("no name"), NewJob("noop", request_id="\ud800")):
        with pytest.raises(InvalidJob):
            queue.submit_one(wrong)
    go_on.set()

    made, again, conflict, other = (one.result(SECONDS) for one in asked)
    assert sizes == [1, 4]
    assert isinstance(made, Submitted) and made.created
    assert isinstance(again, Submitted) and not again.created
    assert isinstance(conflict, IdempotencyConflict)
    assert made.job_id == again.job_id == conflict.job_id
    assert isinstance(other, Submitted) and other.created
    assert len({first.result(SECONDS).job_id, made.job_id, other.job_id}) == 3


def test_while_shards_are_added_only_who_must_wait_for_them_is_refused(
    client: redis.Redis, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded_submission, "PATIENCE_SECONDS", 0.05)
    queue = sharded(client, 2)
    queue.submit("noop")
    _, elsewhere = half_grown(queue, monkeypatch)
    submit, reached, go_on = queue._submit_packed, threading.Event(), threading.Event()

    def held_up(jobs: Sequence[Packed]) -> list[Answer]:
        reached.set()
        assert go_on.wait(SECONDS)
        return submit(jobs)

    queue._together = Together(held_up, patience_seconds=SECONDS)
    asked = [threads.submit(queue.submit_one, NewJob("noop"))]
    assert reached.wait(SECONDS)
    for number, new in enumerate((NewJob("noop"), elsewhere, NewJob("noop")), 1):
        asked.append(threads.submit(queue.submit_one, new))
        in_line(queue._together, number)
    go_on.set()

    refused = asked.pop(2)
    with pytest.raises(LayoutChanging):
        refused.result(SECONDS)
    assert len({one.result(SECONDS).job_id for one in asked}) == 3


def test_many_threads_get_an_id_of_their_own_each(
    queue: ShardedJobQueue, store: redis.Redis, threads: ThreadPoolExecutor
) -> None:
    def some(thread: int) -> list[tuple[str, Submitted | IdempotencyConflict]]:
        payloads = [f"[{thread}, {number}]" for number in range(20)]
        return [(payload, queue.submit_one(NewJob("noop", payload))) for payload in payloads]

    found = [pair for part in threads.map(some, range(8)) for pair in part]

    assert len({answer.job_id for _, answer in found}) == 160
    for payload, answer in found:
        assert isinstance(answer, Submitted)
        assert answer.job is not None
        assert answer.job.payload == payload
    kept = {
        int(job_id): payload
        for part in queue.parts()
        for job_id, payload in store.hgetall(part.keys.payloads).items()
    }
    assert kept == {answer.job_id: payload for payload, answer in found}
