"""Finding jobs by their people and titles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from app.queue.inspector import Inspector, JobQuery
from app.queue.job import Priority, Status
from app.queue.jobqueue import JobQueue
from app.queue.submission import NewJob
from app.queue.summary import pack_summary
from tests.queue.invariants import check
from tests.queue.steps import claim_one
from tests.queue.virtual_time import Clock

Find = Callable[[str], list[int]]


@pytest.fixture
def inspector(store: redis.Redis, source: Callable[[str], str], clock: Clock) -> Inspector:
    return Inspector(store, source=source)


@pytest.fixture
def search(inspector: Inspector) -> Find:
    def find(q: str) -> list[int]:
        return [job.id for job in inspector.page(JobQuery(q=q)).jobs]

    return find


def test_a_job_has_its_title_and_people(queue: JobQueue, inspector: Inspector) -> None:
    job_id = queue.submit("noop", title="Grüße, Ann", people=("Ann@example.com", "bob@b.example"))

    for job in (inspector.job(job_id), *inspector.page(JobQuery()).jobs):
        assert job.title == "Grüße, Ann"
        assert job.people == ("Ann@example.com", "bob@b.example")


@pytest.mark.parametrize("q", ["\0", " ", "\n\u200b"])
@pytest.mark.parametrize("more", [{}, {"tag": "a"}, {"status": Status.PENDING}])
def test_a_text_without_a_letter_finds_nothing_and_not_all(
    queue: JobQueue, inspector: Inspector, q: str, more: dict[str, Any]
) -> None:
    queue.submit("noop", title="Hello", people=("ann@example.com",), tags=("a",))
    queue.submit("noop", tags=("a",))

    assert inspector.page(JobQuery(q=q, **more)).total == 0


def test_a_job_without_them_has_neither(queue: JobQueue, inspector: Inspector) -> None:
    job = inspector.job(queue.submit("noop"))

    assert (job.title, job.people) == (None, ())


def test_an_address_is_found_whatever_its_case(queue: JobQueue, search: Find) -> None:
    job_id = queue.submit("noop", people=("Ann.Smith@Example.COM",))
    queue.submit("noop", people=("ann.smith@example.com.evil.example",))

    assert search("ann.smith@example.com") == [job_id]
    assert search(" ANN.SMITH@EXAMPLE.com ") == [job_id]
    assert search("smith@example.com") == []
    assert search("ann.smith@example.co") == []


def test_a_domain_finds_each_job_once(queue: JobQueue, search: Find, inspector: Inspector) -> None:
    both = queue.submit("noop", people=("ann@example.com", "bob@example.com"))
    queue.submit("noop", people=("ann@sub.example.com", "ann@example.com.x.example"))

    assert search("@example.com") == [both]
    assert inspector.page(JobQuery(q="@example.com")).total == 1


def test_a_title_is_found_by_its_beginning_whatever_its_case(queue: JobQueue, search: Find) -> None:
    upper = queue.submit("noop", title="ÜBERSICHT Mai")
    lower = queue.submit("noop", title="übersicht juni")
    ascii_only = queue.submit("noop", title="Your Invoice 7")

    assert search("Übersicht") == [lower, upper]
    assert search("your INVOICE") == [ascii_only]
    assert search("invoice") == []


def test_what_a_title_may_not_hold_is_left_out(queue: JobQueue, inspector: Inspector) -> None:
    job_id = queue.submit("noop", title="a\nb\0c\ud800d" + "é" * 300, people=("a@b.c\nx@y.z", ""))

    job = inspector.job(job_id)
    assert job.title == ("a b c d" + "é" * 300)[:200]
    assert job.people == ("a@b.c x@y.z",)


def test_people_without_an_address_are_shown_and_not_searched(
    queue: JobQueue, store: redis.Redis, inspector: Inspector
) -> None:
    job_id = queue.submit("noop", people=("+43 1 234",))

    assert inspector.job(job_id).people == ("+43 1 234",)
    assert store.exists("Find") == 0


@pytest.mark.parametrize("verb", ["delete", "trim"])
def test_a_forgotten_job_is_not_found(
    queue: JobQueue, search: Find, store: redis.Redis, verb: str
) -> None:
    job_id = queue.submit("noop", title="Über uns", people=("ann@example.com",), tags=("a",))
    queue.complete(claim_one(queue))

    if verb == "delete":
        queue.delete(job_id)
    else:
        queue.submit("noop")
        queue.complete(claim_one(queue))
        assert queue.trim(max_jobs=1) == 1

    assert search("ann@example.com") == search("über") == search("#a") == []
    assert store.exists("Find", "Job_summary", "Tags") == 0


def test_an_address_is_exact_however_many_jobs_it_has(
    queue: JobQueue, inspector: Inspector
) -> None:
    queue.submit_many([NewJob("noop", people=("ann@example.com", "bob@b.c"))] * 25)

    first = inspector.page(JobQuery(q="ann@example.com", look=10, limit=10))
    last = inspector.page(
        JobQuery(q="ann@example.com", look=10, limit=10, page=3, descending=False)
    )
    beyond = inspector.page(JobQuery(q="ann@example.com", look=10, limit=10, page=4))

    assert [job.id for job in first.jobs] == list(range(25, 15, -1))
    assert [job.id for job in last.jobs] == list(range(21, 26))
    assert (beyond.jobs, beyond.total) == ([], 25)
    assert (first.total, first.complete, first.looked_at) == (25, True, None)


@pytest.mark.parametrize("fields", [{"q": "@b.c"}, {"q": "hello"}, {"q": "a@b.c", "tag": "t"}])
def test_too_many_candidates_say_how_far_it_looked(
    queue: JobQueue, inspector: Inspector, fields: dict[str, str]
) -> None:
    jobs = [NewJob("noop", title="Hello", people=("a@b.c",), tags=("t",))] * 30
    queue.submit_many(jobs)

    page = inspector.page(JobQuery(**fields, sort="picked_at", status=Status.PENDING, look=20))

    assert (page.complete, page.looked_at, page.candidates, page.total) == (False, 20, 30, 20)
    assert [job.id for job in page.jobs[:2]] == [30, 29]


def test_the_smallest_set_of_candidates_decides_how_much_is_exact(
    queue: JobQueue, inspector: Inspector
) -> None:
    rare = queue.submit("noop", title="Hello", people=("a@b.c",), tags=("t", "rare"))
    queue.submit_many([NewJob("noop", title="Hello", people=("a@b.c",), tags=("t",))] * 20)

    for q in ("hello", "a@b.c", "@b.c", "#t"):
        page = inspector.page(JobQuery(q=q, tag="rare", look=5))
        assert [job.id for job in page.jobs] == [rare], q
        assert page.complete


def test_searching_can_be_switched_off(
    store: redis.Redis, make_queue: Callable[..., JobQueue], source: Callable[[str], str]
) -> None:
    queue = make_queue(search=False)
    job_id = queue.submit("noop", title="Hello", people=("a@b.c",), tags=("t",))
    inspector = Inspector(store, source=source, search=False)

    assert store.exists("Find") == 0
    assert inspector.job(job_id).title == "Hello"
    assert inspector.page(JobQuery(q="#t")).total == 1
    for q in ("a@b.c", "@b.c", "hello"):
        page = inspector.page(JobQuery(q=q))
        assert (page.jobs, page.complete, page.looked_at) == ([], False, 0)
    assert queue.repair() == []


def test_repair_makes_jobs_findable_when_searching_is_switched_on(
    store: redis.Redis, make_queue: Callable[..., JobQueue], search: Find
) -> None:
    job_id = make_queue(search=False).submit("noop", title="Hello", people=("a@b.c",))

    assert len(make_queue().repair()) == 2

    assert search("hello") == search("@b.c") == [job_id]
    check(store)


def test_repair_takes_out_what_leads_to_no_job(
    queue: JobQueue, store: redis.Redis, search: Find
) -> None:
    queue.submit("noop", title="Hello", tags=("t",))
    store.zadd("Find", {"r:b.c@a\0000000000009": 0, "t:hello\x00000000000009": 0, "x": 0})
    store.zadd("Tags", {"gone": 3, "t": 7})

    assert len(queue.repair()) >= 4

    assert search("hello") == [1]
    check(store)


def test_the_same_title_again_is_the_same_entry() -> None:
    assert pack_summary(None, ()) == ""
    assert pack_summary("Hello", ("a@b.c", "a@b.c")) == "Hello\n\na@b.c"
    assert pack_summary("É", ()) == "É\né"
    assert pack_summary(None, ("a@b.c",)) == "\n\na@b.c"


def test_the_tags_that_most_jobs_have_come_first(queue: JobQueue, inspector: Inspector) -> None:
    queue.submit_many([NewJob("noop", tags=("often",))] * 3 + [NewJob("noop", tags=("a", "b"))])
    queue.submit("noop", tags=("b",))

    assert inspector.tags() == ["often", "b", "a"]
    assert inspector.tags(limit=1) == ["often"]


def test_the_job_types_are_those_that_have_jobs(queue: JobQueue, inspector: Inspector) -> None:
    queue.submit("send_email")
    gone = queue.submit("noop")
    queue.delete(gone)
    queue.submit("a.b", delay_ms=1000)

    assert inspector.job_types() == ["a.b", "send_email"]


def test_a_pending_job_knows_how_many_go_before_it(queue: JobQueue, inspector: Inspector) -> None:
    low = queue.submit("noop")
    high = queue.submit("noop", priority=Priority.HIGH)
    later = queue.submit("noop", delay_ms=1000)

    assert [inspector.position(job_id) for job_id in (high, low, later, 99)] == [0, 1, None, None]


def test_a_paused_queue_says_so(queue: JobQueue, inspector: Inspector) -> None:
    assert not inspector.paused()
    queue.pause()
    assert inspector.paused()
