"""Retrying, cancelling and deleting everything that matches, in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.errors import OperationNotFound
from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.operations import Operation, Operations
from app.queue.submission import NewJob
from tests.queue.steps import claim_one
from tests.queue.virtual_time import STARTED_MS, Clock


@pytest.fixture
def operations(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Operations:
    return Operations(store, source=source)


@pytest.fixture
def statuses(store: redis.Redis, source: Callable[[str], str]) -> Callable[[], str]:
    """The first letters of all jobs' statuses, oldest job first."""

    def read() -> str:
        jobs = Inspector(store, source=source).page(JobQuery(descending=False, limit=200)).jobs
        return "".join(job.status[:2] + " " for job in jobs).strip()

    return read


def run(queue: JobQueue, limit: int = 100) -> None:
    for _ in range(10_000):
        if not queue.operate(limit):
            return
    pytest.fail("the operation does not end")


def outcome(operation: Operation) -> tuple[str, int, int, int]:
    return operation.status, operation.total, operation.done, operation.skipped


def test_an_operation_tells_what_it_is_to_do(operations: Operations, queue: JobQueue) -> None:
    queue.submit("noop", priority=Priority.HIGH)
    query = JobQuery(status=Status.PENDING, priority=Priority.HIGH, q="1")

    operation = operations.get(operations.start("cancel", query, "ann"))

    assert operation == Operation(
        id=1,
        action="cancel",
        query=query,
        by="ann",
        status="running",
        total=1,
        done=0,
        skipped=0,
        created_at=STARTED_MS / 1000,
        finished_at=None,
    )


def test_it_does_what_it_says_to_all_that_match(
    operations: Operations, queue: JobQueue, clock: Clock, statuses: Callable[[], str]
) -> None:
    queue.submit_many([NewJob("noop"), NewJob("other"), NewJob("noop", delay_ms=10_000)])
    operation_id = operations.start("cancel", JobQuery(job_type="noop"), "ann")
    clock.advance(seconds=5)

    run(queue)

    assert statuses() == "ca pe ca"
    operation = operations.get(operation_id)
    assert outcome(operation) == ("done", 2, 2, 0)
    assert operation.finished_at == clock.now


def test_jobs_whose_status_forbids_it_are_skipped(
    operations: Operations, queue: JobQueue, statuses: Callable[[], str]
) -> None:
    queue.submit("noop")
    queue.complete(claim_one(queue))
    queue.submit("noop")
    queue.cancel(2)
    queue.submit("noop")
    operation_id = operations.start("retry", JobQuery(), "ann")

    run(queue)

    assert statuses() == "su pe pe"
    assert outcome(operations.get(operation_id)) == ("done", 3, 1, 2)


def test_cancelling_asks_the_workers_of_processing_jobs(
    operations: Operations, queue: JobQueue
) -> None:
    queue.submit("noop")
    job = claim_one(queue)
    operation_id = operations.start("cancel", JobQuery(), "ann")

    run(queue)

    assert queue.renew("w1", [job], {}).cancel == [job.id]
    assert outcome(operations.get(operation_id)) == ("done", 1, 1, 0)


def test_deleting_spares_what_a_worker_holds(
    operations: Operations, queue: JobQueue, statuses: Callable[[], str]
) -> None:
    queue.submit_many([NewJob("noop", tags=("a",), title="Hello", people=("a@b.c",))] * 3)
    claim_one(queue)
    operation_id = operations.start("delete", JobQuery(q="hello"), "ann")

    run(queue)

    assert statuses() == "pr"
    assert outcome(operations.get(operation_id)) == ("done", 3, 2, 1)


QUERIES: dict[str, dict[str, Any]] = {
    "all": {},
    "a status": {"status": Status.PENDING},
    "a type and a priority": {"job_type": "noop", "priority": Priority.LOW},
    "a tag": {"tag": "a"},
    "a tag and a status": {"tag": "a", "status": Status.PENDING},
    "two tags": {"tag": "a", "q": "#b"},
    "an address": {"q": "ann@example.com"},
    "a domain": {"q": "@example.com"},
    "a title and a tag": {"q": "hello", "tag": "b"},
    "an id": {"q": "7"},
    "an id that another filter excludes": {"q": "7", "tag": "nobody"},
    "nothing": {"job_type": "unheard-of"},
    "a text without a letter": {"q": " \0"},
}


@pytest.mark.parametrize("limit", [3, 100])
@pytest.mark.parametrize("name", QUERIES)
def test_it_acts_on_exactly_the_jobs_that_the_page_shows(
    operations: Operations,
    queue: JobQueue,
    store: redis.Redis,
    source: Callable[[str], str],
    name: str,
    limit: int,
) -> None:
    queue.submit_many(
        [
            NewJob(
                "noop" if n % 3 else "other",
                priority=Priority.HIGH if n % 4 == 0 else Priority.LOW,
                delay_ms=1_000 if n % 5 == 0 else None,
                tags=tuple(tag for tag, step in (("a", 2), ("b", 7)) if n % step == 0),
                title="Hello" if n % 2 else "Bye",
                people=("ann@example.com", "bob@example.com")[: n % 3],
            )
            for n in range(60)
        ]
    )
    inspector = Inspector(store, source=source)
    wanted = inspector.page(JobQuery(**QUERIES[name], limit=200))
    operation_id = operations.start("cancel", JobQuery(**QUERIES[name]), "ann")

    run(queue, limit)

    cancelled = inspector.page(JobQuery(status=Status.CANCELLED, limit=200)).jobs
    assert [job.id for job in cancelled] == [job.id for job in wanted.jobs]
    count = len(wanted.jobs)
    assert outcome(operations.get(operation_id)) == ("done", count, count, 0)


def test_a_chunk_has_as_many_jobs_as_asked_newest_first(
    operations: Operations, queue: JobQueue, statuses: Callable[[], str]
) -> None:
    queue.submit_many([NewJob("noop"), NewJob("other")] * 3)
    operation_id = operations.start("cancel", JobQuery(), "ann")

    assert queue.operate(2)

    assert statuses() == "pe pe pe pe ca ca"
    assert outcome(operations.get(operation_id)) == ("running", 6, 2, 0)


@pytest.mark.parametrize("query", [JobQuery(), JobQuery(tag="a"), JobQuery(q="hello")])
def test_jobs_submitted_after_the_start_are_left_alone(
    operations: Operations, queue: JobQueue, statuses: Callable[[], str], query: JobQuery
) -> None:
    jobs = [NewJob("noop", tags=("a",), title="Hello")] * 3
    queue.submit_many(jobs)
    operation_id = operations.start("cancel", query, "ann")
    queue.submit_many(jobs)

    run(queue, limit=2)

    assert statuses() == "ca ca ca pe pe pe"
    assert outcome(operations.get(operation_id)) == ("done", 3, 3, 0)


def test_what_ceased_to_match_is_left_alone(
    operations: Operations, queue: JobQueue, statuses: Callable[[], str]
) -> None:
    queue.submit_many([NewJob("noop")] * 2)
    operations.start("cancel", JobQuery(status=Status.PENDING), "ann")
    claim_one(queue)

    run(queue)

    assert statuses() == "pr ca"
    assert queue.renew("w1", [], {}).cancel == []


def test_another_runner_goes_on_where_one_was_killed(
    operations: Operations, make_queue: Callable[..., JobQueue], statuses: Callable[[], str]
) -> None:
    killed, other = make_queue(), make_queue()
    killed.submit_many([NewJob("noop")] * 5)
    operation_id = operations.start("cancel", JobQuery(), "ann")
    killed.operate(2)

    run(other, limit=2)

    assert statuses() == "ca ca ca ca ca"
    assert outcome(operations.get(operation_id)) == ("done", 5, 5, 0)


def test_runners_that_take_turns_do_nothing_twice(
    operations: Operations, make_queue: Callable[..., JobQueue]
) -> None:
    queues = [make_queue(), make_queue()]
    queues[0].submit_many([NewJob("noop")] * 20)
    operation_id = operations.start("cancel", JobQuery(), "ann")

    running = [True]
    while any(running):
        running = [queue.operate(3) for queue in queues]

    assert outcome(operations.get(operation_id)) == ("done", 20, 20, 0)


def test_operations_take_turns(operations: Operations, queue: JobQueue) -> None:
    queue.submit_many([NewJob("noop")] * 6)
    large = operations.start("cancel", JobQuery(), "ann")
    small = operations.start("cancel", JobQuery(q="1"), "bob")

    queue.operate(2)
    queue.operate(2)

    assert operations.get(large).status == "running"
    assert outcome(operations.get(small)) == ("done", 1, 1, 0)


def test_a_stopped_operation_does_no_more(
    operations: Operations, queue: JobQueue, clock: Clock, statuses: Callable[[], str]
) -> None:
    queue.submit_many([NewJob("noop")] * 5)
    operation_id = operations.start("cancel", JobQuery(), "ann")
    queue.operate(2)
    clock.advance(seconds=1)
    operations.stop(operation_id)

    assert not queue.operate(2)

    assert statuses() == "pe pe pe ca ca"
    stopped = operations.get(operation_id)
    assert outcome(stopped) == ("stopped", 5, 2, 0)
    assert stopped.finished_at == clock.now


def test_stopping_a_finished_operation_changes_nothing(
    operations: Operations, queue: JobQueue
) -> None:
    operation_id = operations.start("cancel", JobQuery(), "ann")
    run(queue)
    finished = operations.get(operation_id)

    operations.stop(operation_id)

    assert operations.get(operation_id) == finished


def test_there_is_no_operation_with_an_unknown_id(operations: Operations) -> None:
    with pytest.raises(OperationNotFound, match="Operation 7 not found"):
        operations.get(7)
    with pytest.raises(OperationNotFound):
        operations.stop(7)


def test_an_operation_knows_three_actions(operations: Operations) -> None:
    with pytest.raises(ValueError, match="action: must be one of retry, cancel, delete"):
        operations.start("drop", JobQuery(), "ann")  # type: ignore[arg-type]


def test_recent_operations_are_newest_first_and_old_ones_are_forgotten(
    operations: Operations, queue: JobQueue, store: redis.Redis
) -> None:
    ids = [operations.start("cancel", JobQuery(), "ann") for _ in range(3)]
    assert [operation.id for operation in operations.recent()] == ids[::-1]
    assert [operation.id for operation in operations.recent(limit=1)] == [ids[-1]]
    assert store.ttl(f"Operation:{ids[0]}") == -1
    run(queue)
    assert 0 < store.ttl(f"Operation:{ids[0]}") <= 7 * 86_400

    store.delete(f"Operation:{ids[0]}")  # as when its time is over

    assert [operation.id for operation in operations.recent()] == ids[:0:-1]
    latest = operations.start("cancel", JobQuery(), "ann")
    assert store.zrange("Operations", 0, -1) == [str(i) for i in (*ids[1:], latest)]


def test_a_start_wakes_the_retry_worker(operations: Operations, store: redis.Redis) -> None:
    operations.start("cancel", JobQuery(), "ann")

    assert store.zpopmin("Wake:due")


def test_retrying_wakes_a_worker(
    operations: Operations, queue: JobQueue, store: redis.Redis
) -> None:
    queue.submit("noop")
    queue.cancel(1)
    store.delete("Wake")
    operations.start("retry", JobQuery(), "ann")

    run(queue)

    assert store.zpopmin("Wake")


def test_a_start_that_is_sent_twice_is_one_operation(
    operations: Operations, queue: JobQueue
) -> None:
    send_once = operations._scripts.call
    operations._scripts.call = lambda *call: [send_once(*call), send_once(*call)][1]  # type: ignore[method-assign]

    operations.start("cancel", JobQuery(), "ann")

    assert len(operations.recent()) == 1


def test_every_chunk_shows_in_the_revision(
    operations: Operations, queue: JobQueue, store: redis.Redis
) -> None:
    queue.submit_many([NewJob("noop")] * 3)
    seen = [int(store.hget("Meta", "revision") or 0)]
    operations.start("cancel", JobQuery(status=Status.SUCCESS), "ann")
    seen.append(int(store.hget("Meta", "revision") or 0))
    run(queue)
    seen.append(int(store.hget("Meta", "revision") or 0))

    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("action", "filters", "expected"),
    [
        ("retry", {}, (4, 1)),
        ("cancel", {}, (4, 3)),
        ("delete", {}, (4, 3)),
        ("retry", {"status": Status.PENDING}, (1, 0)),
        ("delete", {"status": Status.PROCESSING}, (1, 0)),
        ("cancel", {"tag": "a"}, (3, 2)),
        ("delete", {"tag": "a"}, (3, 2)),
        ("retry", {"q": "1"}, (1, 1)),
    ],
)
def test_a_preview_tells_those_that_match_from_those_that_it_would_act_on(
    operations: Operations,
    queue: JobQueue,
    action: Any,
    filters: dict[str, Any],
    expected: tuple[int, int],
) -> None:
    queue.submit("noop", tags=("a",))
    queue.cancel(1)
    queue.submit("noop", tags=("a",))
    claim_one(queue)
    queue.submit("noop", tags=("a",))
    queue.submit("noop", delay_ms=1_000)

    found = operations.preview(action, JobQuery(**filters))

    assert (found.total, found.able, found.complete) == (*expected, True)
    operation_id = operations.start(action, JobQuery(**filters), "tests")
    run(queue)
    assert operations.get(operation_id).done == found.able
